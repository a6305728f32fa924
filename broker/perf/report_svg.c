/* Two plots side by side, or one where there is no latency: what happened each second, and how long things took up to
 * which percentile.  Colours are classes, so that the same file can be light and dark. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "broker/perf/latency.h"
#include "broker/perf/options.h"
#include "broker/perf/report.h"
#include "broker/perf/summary.h"
#include "broker/perf/text.h"

enum {
    WIDTH = 920,
    HEIGHT = 400,
    MARGIN = 24,
    AXIS_ROOM = 58, /* for numbers left of a plot */
    TOP = 96,       /* of the plots */
    BOTTOM = HEIGHT - 64,
    POINTS_MAX = 400, /* of a line over time */
    CURVE_STEPS = 240,
    CURVE_NINES = 5, /* the curve's right end is 99.999 % */
    TICKS = 5,
    LINE_ROOM = 160,
};

struct plot {
    double left, right; /* pixels */
    double x0, x1;      /* values at its edges */
    double y0, y1;
};

static const char style[] =
    "<style>"
    "svg{color-scheme:light dark}"
    ".page{fill:#ffffff}.frame{fill:none;stroke:#c8ccd2}.grid{stroke:#e6e8ec}.warm{fill:#f1f2f4}"
    "text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#4a5058}"
    ".title{font-size:17px;font-weight:600;fill:#1c2126}.strong{fill:#1c2126}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".a{stroke:#0b66c3}.b{stroke:#c2410c}.c{stroke:#15803d}"
    ".fa{fill:#0b66c3}.fb{fill:#c2410c}.fc{fill:#15803d}"
    "@media (prefers-color-scheme:dark){"
    ".page{fill:#14171b}.frame{stroke:#454c55}.grid{stroke:#2a2f36}.warm{fill:#1d2126}"
    "text{fill:#a9b1bb}.title,.strong{fill:#f0f3f6}"
    ".a{stroke:#5aa9f5}.b{stroke:#f39459}.c{stroke:#56c27b}"
    ".fa{fill:#5aa9f5}.fb{fill:#f39459}.fc{fill:#56c27b}}"
    "</style>\n";

/* ---- Text */

/* Escaped; what XML cannot hold becomes a question mark. */
static void put_text(FILE *to, const char *text)
{
    for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
        n = utf8_length(bytes_of(text, left));
        uint32_t c = n > 0 ? utf8_decode(bytes_of(text, left), n) : 0;
        if (c < ' ' || c == 0x7F || (c >= 0x80 && c < 0xA0) || (c & 0xFFFE) == 0xFFFE)
            fputc('?', to);
        else if (c == '&')
            fputs("&amp;", to);
        else if (c == '<')
            fputs("&lt;", to);
        else if (c == '>')
            fputs("&gt;", to);
        else if (c == '"')
            fputs("&quot;", to);
        else
            fwrite(text, 1, n, to);
        n = n > 0 ? n : 1;
    }
}

static void put_label(FILE *to, double x, double y, const char *attributes, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, attributes);
    put_text(to, text);
    fputs("</text>\n", to);
}

/* ---- Plots */

static double x_of(const struct plot *p, double x)
{
    return p->left + (x - p->x0) / (p->x1 - p->x0) * (p->right - p->left);
}

static double y_of(const struct plot *p, double y)
{
    return BOTTOM - (y - p->y0) / (p->y1 - p->y0) * (BOTTOM - TOP);
}

/* A step of 1, 2 or 5 times a power of ten, so that there are about TICKS of them in span. */
static double tick_step(double span)
{
    double rough = span / TICKS, power = pow(10, floor(log10(rough))), times = rough / power;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

static void put_frame(FILE *to, const struct plot *p, const char *title)
{
    fprintf(to, "<rect class=\"frame\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", p->left, TOP,
            p->right - p->left, BOTTOM - TOP);
    put_label(to, p->left, TOP - 12, " class=\"strong\"", title);
}

static void put_x_tick(FILE *to, const struct plot *p, double x, const char *text)
{
    fprintf(to, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>\n", x_of(p, x), TOP, BOTTOM);
    put_label(to, x_of(p, x), BOTTOM + 18, " text-anchor=\"middle\"", text);
}

static void put_y_tick(FILE *to, const struct plot *p, double y, const char *text)
{
    fprintf(to, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", p->left, y_of(p, y), p->right);
    put_label(to, p->left - 8, y_of(p, y) + 4, " text-anchor=\"end\"", text);
}

static void put_legend(FILE *to, double *x, char colour, const char *text)
{
    char attributes[32];
    fprintf(to, "<rect class=\"f%c\" x=\"%.1f\" y=\"%d\" width=\"12\" height=\"4\"/>\n", colour, *x, BOTTOM + 37);
    snprintf(attributes, sizeof attributes, " class=\"strong\"");
    put_label(to, *x + 18, BOTTOM + 43, attributes, text);
    *x += 36 + 7.0 * (double)strlen(text);
}

/* ---- Rates over time */

struct series {
    const char *name;
    size_t offset; /* of its counter in struct perf_counts */
    char colour;
    bool is_there;
};
enum { SERIES = 4 };

static uint64_t counter(const struct perf_sample *s, const struct series *of)
{
    return *(const uint64_t *)(const void *)((const char *)&s->at + of->offset);
}

/* The rate between two samples, and the middle of that time in seconds since what is measured began. */
static double rate_between(const struct perf_sample *from, const struct perf_sample *to, const struct series *of)
{
    return to->ns > from->ns ? (double)(counter(to, of) - counter(from, of)) / ((double)(to->ns - from->ns) / 1e9) : 0;
}

static double seconds_at(const struct perf_result *r, unsigned i)
{
    return ((double)r->samples[i].ns - (double)r->samples[r->from].ns) / 1e9;
}

/* So many samples make one point. */
static unsigned stride_of(const struct perf_result *r)
{
    return r->samples_count / POINTS_MAX + 1;
}

static void put_series(FILE *to, const struct plot *p, const struct perf_result *r, const struct series *s)
{
    unsigned stride = stride_of(r);
    fprintf(to, "<path class=\"line %c\" d=\"", s->colour);
    for (unsigned i = 0; i + 1 < r->samples_count; i += stride) {
        unsigned j = i + stride < r->samples_count ? i + stride : r->samples_count - 1;
        double y = y_of(p, rate_between(&r->samples[i], &r->samples[j], s));
        fprintf(to, "%c%.1f %.1fH%.1f", i == 0 ? 'M' : 'L', x_of(p, seconds_at(r, i)), y, x_of(p, seconds_at(r, j)));
    }
    fputs("\"/>\n", to);
}

static double highest_rate(const struct perf_result *r, const struct series *all)
{
    double most = 0;
    unsigned stride = stride_of(r);
    for (unsigned i = 0; i + 1 < r->samples_count; i += stride)
        for (unsigned k = 0; k < SERIES; k++) {
            unsigned j = i + stride < r->samples_count ? i + stride : r->samples_count - 1;
            if (all[k].is_there)
                most = fmax(most, rate_between(&r->samples[i], &r->samples[j], &all[k]));
        }
    return most;
}

static void put_time_ticks(FILE *to, const struct plot *p)
{
    double step = tick_step(p->x1 - p->x0);
    for (int i = (int)ceil(p->x0 / step); i * step <= p->x1; i++)
        put_x_tick(to, p, i * step, perf_text_short(i * step).s);
}

static void put_rate_ticks(FILE *to, const struct plot *p)
{
    double step = tick_step(p->y1);
    for (int i = 0; i * step <= p->y1; i++)
        put_y_tick(to, p, i * step, perf_text_short(i * step).s);
}

static void put_rates(FILE *to, struct plot p, const struct perf_result *r, const struct perf_summary *s)
{
    const struct perf_options *o = r->options;
    bool is_churn = o->churn != PERF_CHURN_NONE;
    const struct series all[SERIES] = {
        {"published", offsetof(struct perf_counts, published), 'a', !is_churn && s->counts.published > 0},
        {"consumed", offsetof(struct perf_counts, consumed), 'b', !is_churn && s->counts.consumed > 0},
        {"confirmed", offsetof(struct perf_counts, confirmed), 'c', !is_churn && s->counts.confirmed > 0},
        {is_churn ? perf_churn_name(o->churn) : "", offsetof(struct perf_counts, operations), 'a', is_churn},
    };
    double highest = highest_rate(r, all), legend = p.left;
    if (r->samples_count < 2 || highest <= 0)
        return;
    p.x0 = seconds_at(r, 0);
    p.x1 = seconds_at(r, r->samples_count - 1);
    p.x1 = p.x1 > p.x0 ? p.x1 : p.x0 + 1;
    p.y1 = highest * 1.08;
    if (r->from > 0)
        fprintf(to, "<rect class=\"warm\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", p.left, TOP,
                x_of(&p, 0) - p.left, BOTTOM - TOP);
    put_time_ticks(to, &p);
    put_rate_ticks(to, &p);
    put_frame(to, &p, "a second, over time in seconds");
    for (unsigned i = 0; i < SERIES; i++) {
        if (!all[i].is_there)
            continue;
        put_series(to, &p, r, &all[i]);
        put_legend(to, &legend, all[i].colour, all[i].name);
    }
}

/* ---- Latency by percentile */

static void put_curve(FILE *to, const struct plot *p, const struct latency *l, char colour)
{
    fprintf(to, "<path class=\"line %c\" d=\"", colour);
    for (unsigned i = 0; i <= CURVE_STEPS; i++) {
        double nines = p->x1 * i / CURVE_STEPS, above = pow(10, -nines);
        if (i > 0 && above * (double)l->count < 1)
            break; /* nobody knows it any finer */
        double ns = fmax(1, (double)latency_percentile(l, 100 - 100 * above));
        fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(p, nines), y_of(p, log10(ns)));
    }
    fputs("\"/>\n", to);
}

static void put_percentiles(FILE *to, struct plot p, const struct perf_result *r)
{
    static const struct {
        double nines;
        const char *name;
    } ticks[] = {{0.30103, "50"}, {1, "90"}, {2, "99"}, {3, "99.9"}, {4, "99.99"}, {5, "99.999"}};
    const struct latency *all[] = {r->latency, r->confirm_latency};
    const char *names[] = {r->options->churn != PERF_CHURN_NONE ? "operation" : "delivery", "confirm"};
    double least = INFINITY, most = 1, legend = p.left;
    for (unsigned i = 0; i < 2; i++) {
        if (all[i] == NULL || all[i]->count == 0)
            continue;
        least = fmin(least, fmax(1, (double)latency_percentile(all[i], 0)));
        most = fmax(most, (double)all[i]->max);
    }
    p.x1 = CURVE_NINES;
    p.y0 = floor(log10(least));
    p.y1 = fmax(p.y0 + 1, ceil(log10(most)));
    for (unsigned i = 0; i < sizeof ticks / sizeof *ticks; i++)
        put_x_tick(to, &p, ticks[i].nines, ticks[i].name);
    for (int y = (int)p.y0; y <= (int)p.y1; y++)
        put_y_tick(to, &p, y, perf_text_duration(pow(10, y)).s);
    put_frame(to, &p, "latency, by percentile");
    for (unsigned i = 0; i < 2; i++) {
        if (all[i] == NULL || all[i]->count == 0)
            continue;
        put_curve(to, &p, all[i], i == 0 ? 'a' : 'c');
        put_legend(to, &legend, i == 0 ? 'a' : 'c', names[i]);
    }
}

/* ---- The page */

static void put_heading(FILE *to, const struct perf_result *r, const struct perf_machine *m)
{
    char line[4 * LINE_ROOM], date[32] = "", words[PERF_WORDS_ROOM];
    time_t started = (time_t)r->started_at;
    struct tm t;
    const struct perf_options *o = r->options;
    if (gmtime_r(&started, &t) != NULL)
        strftime(date, sizeof date, "%Y-%m-%d", &t);
    perf_summary_words(words, o);
    snprintf(line, sizeof line, "%.*s", LINE_ROOM, o->label[0] != '\0' ? o->label : words);
    put_label(to, MARGIN, 34, " class=\"title\"", line);
    snprintf(line, sizeof line, "%.*s %.*s, %s; %.*s, %u cores, %.*s", LINE_ROOM / 2,
             r->product[0] != '\0' ? r->product : "a broker", LINE_ROOM / 2, r->version, date, LINE_ROOM, m->cpu,
             m->cores, LINE_ROOM, m->kernel);
    put_label(to, MARGIN, 54, "", line);
}

static void put_figures(FILE *to, const struct perf_result *r, const struct perf_summary *s)
{
    char line[LINE_ROOM];
    if (r->has_server && s->units > 0) {
        snprintf(line, sizeof line, "server %s CPU each %s, %s resident", perf_text_duration(s->server_ns).s, s->unit,
                 perf_text_bytes((double)r->server_to.rss).s);
        put_label(to, WIDTH - MARGIN, 34, " class=\"strong\" text-anchor=\"end\"", line);
    }
    if (s->units > 0) {
        snprintf(line, sizeof line, "%s %ss a second", perf_text_count(s->units / s->seconds).s, s->unit);
        put_label(to, WIDTH - MARGIN, 54, " class=\"strong\" text-anchor=\"end\"", line);
    }
}

void perf_report_svg(FILE *to, const struct perf_result *r, const struct perf_machine *m)
{
    struct perf_summary s;
    perf_summary_make(&s, r);
    bool has_latency =
        (r->latency != NULL && r->latency->count > 0) || (r->confirm_latency != NULL && r->confirm_latency->count > 0);
    double middle = WIDTH / 2.0;
    struct plot left = {.left = MARGIN + AXIS_ROOM, .right = has_latency ? middle - 12 : WIDTH - MARGIN};
    struct plot right = {.left = middle + 12 + AXIS_ROOM, .right = WIDTH - MARGIN - 12};
    fprintf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    fputs("<title>millrace-perf</title>\n", to);
    fputs(style, to);
    fprintf(to, "<rect class=\"page\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", WIDTH, HEIGHT);
    put_heading(to, r, m);
    put_figures(to, r, &s);
    put_rates(to, left, r, &s);
    if (has_latency)
        put_percentiles(to, right, r);
    fputs("</svg>\n", to);
}
