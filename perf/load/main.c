/* build/load: requests to an HTTP service from many connections, and how long they took.
 *
 *     build/load http://127.0.0.1:8080 -m story-int4 -c 32 -s 10
 *     build/load http://127.0.0.1:8080 -m story-int4 -c 256 -s 10 --rate 200
 *
 * Prints one JSON object. Exits with 1 when no request was answered with 200. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "perf/load/load.h"

static const char usage[] =
    "usage: load URL [options]\n"
    "  -m, --model NAME        of the requests\n"
    "  -p, --prompt TEXT       by default \"Request @N@: once upon a time\"; @N@ is its number\n"
    "  -n, --tokens N          to generate, by default 32; the end token does not end a text\n"
    "      --whole             answers as one document, not as streams\n"
    "      --path PATH         by default /v1/completions\n"
    "      --body FILE         JSON to send in place of all that\n"
    "  -k, --key KEY           API key; by default that of $PITH_KEY\n"
    "  -c, --connections N     by default 8\n"
    "  -r, --requests N        to send in all\n"
    "  -s, --seconds S         to send for; without both, 10 seconds\n"
    "      --rate R            requests a second at random moments, answered or not; by default\n"
    "                          each connection sends the next one when it has its answer\n"
    "      --timeout S         of one request, by default 120\n"
    "      --seed N            of the random moments\n";

enum { WHOLE = 256, PATH, BODY, RATE, TIMEOUT, SEED };

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"prompt", required_argument, NULL, 'p'},
    {"tokens", required_argument, NULL, 'n'},
    {"whole", no_argument, NULL, WHOLE},
    {"path", required_argument, NULL, PATH},
    {"body", required_argument, NULL, BODY},
    {"key", required_argument, NULL, 'k'},
    {"connections", required_argument, NULL, 'c'},
    {"requests", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'},
    {"rate", required_argument, NULL, RATE},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"seed", required_argument, NULL, SEED},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
    load_settings settings;
    const char *model, *prompt, *body_file;
    size_t n_tokens;
    bool whole;
} arguments;

static void die(const char *message, const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, message);
    exit(2);
}

static double number(const char *text, const char *name, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "load: %s is '%s', not a number within %g and %g\n", name, text, least,
                most);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv, arguments *a) {
    load_settings *s = &a->settings;
    int c;
    while ((c = getopt_long(argc, argv, "m:p:n:k:c:r:s:h", options, NULL)) != -1) {
        switch (c) {
        case 'm':
            a->model = optarg;
            break;
        case 'p':
            a->prompt = optarg;
            break;
        case 'n':
            a->n_tokens = (size_t)number(optarg, "--tokens", 1, 1e9);
            break;
        case 'k':
            s->key = optarg;
            break;
        case 'c':
            s->n_connections = (size_t)number(optarg, "--connections", 1, 100000);
            break;
        case 'r':
            s->n_requests = (size_t)number(optarg, "--requests", 1, 1e9);
            break;
        case 's':
            s->seconds = number(optarg, "--seconds", 0.001, 1e6);
            break;
        case WHOLE:
            a->whole = true;
            break;
        case PATH:
            s->path = optarg;
            break;
        case BODY:
            a->body_file = optarg;
            break;
        case RATE:
            s->rate = number(optarg, "--rate", 0.001, 1e6);
            break;
        case TIMEOUT:
            s->timeout = number(optarg, "--timeout", 0.001, 1e6);
            break;
        case SEED:
            s->seed = (uint64_t)number(optarg, "--seed", 0, 9e15);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
}

/* Splits http://HOST:PORT[/], which is changed. */
static void read_address(char *url, load_settings *s) {
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) {
        die("an address is http://HOST:PORT", url);
    }
    char *host = url + sizeof scheme - 1;
    host[strcspn(host, "/")] = '\0';
    char *colon = strrchr(host, ':');
    s->host = host;
    s->port = "80";
    if (colon != NULL && strchr(colon, ']') == NULL) {
        *colon = '\0';
        s->port = colon + 1;
    }
    if (host[0] == '[') {
        host[strcspn(host, "]")] = '\0';
        s->host = host + 1;
    }
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0;
    if (file == NULL || getdelim(&text, &n, '\0', file) < 0) {
        die("cannot be read, or is empty", path);
    }
    fclose(file);
    return text;
}

static void print_quoted(FILE *out, const char *text) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fprintf(out, "\\%c", *text);
        } else if ((unsigned char)*text < 0x20) {
            fprintf(out, "\\u%04x", (unsigned)*text);
        } else {
            putc(*text, out);
        }
    }
    putc('"', out);
}

static char *make_body(const arguments *a) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL) {
        die("out of memory", "the body");
    }
    fputs("{", out);
    if (a->model != NULL) {
        fputs("\"model\": ", out);
        print_quoted(out, a->model);
        fputs(", ", out);
    }
    fputs("\"prompt\": ", out);
    print_quoted(out, a->prompt);
    fprintf(out, ", \"max_tokens\": %zu, \"ignore_eos\": true, \"seed\": @N@", a->n_tokens);
    fputs(a->whole ? "}" : ", \"stream\": true, \"stream_options\": {\"include_usage\": true}}",
          out);
    fclose(out);
    return text;
}

/* One connection is one descriptor. */
static void allow_files(size_t n) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n + 16) {
        limit.rlim_cur = limit.rlim_max < n + 16 ? limit.rlim_max : n + 16;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void print_times(const char *name, load_samples *samples) {
    printf(", \"%s\": {\"n\": %zu", name, samples->n);
    if (samples->n > 0) {
        printf(", \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f",
               1000 * load_samples_quantile(samples, 0.5),
               1000 * load_samples_quantile(samples, 0.95),
               1000 * load_samples_quantile(samples, 0.99),
               1000 * load_samples_quantile(samples, 1));
    }
    printf("}");
}

static void report(const load_settings *s, load_result *r) {
    const char *comma = "";
    printf("{\"connections\": %zu, ", s->n_connections);
    if (s->rate > 0) {
        printf("\"rate\": %.3f, ", s->rate);
    }
    printf("\"seconds\": %.3f, \"sent\": %zu, \"answered\": %zu, \"failed\": %zu, \"status\": {",
           r->seconds, r->n_sent, r->n_done, r->n_failed);
    for (int status = 0; status < LOAD_MAX_STATUS; status++) {
        if (r->by_status[status] > 0) {
            printf("%s\"%d\": %zu", comma, status, r->by_status[status]);
            comma = ", ";
        }
    }
    printf("}, \"requests_per_second\": %.3f, \"tokens_per_second\": %.3f",
           (double)r->by_status[200] / r->seconds, (double)r->n_tokens / r->seconds);
    print_times("first_token_ms", &r->first_token);
    print_times("inter_token_ms", &r->inter_token);
    print_times("latency_ms", &r->latency);
    print_times("rejected_ms", &r->rejected);
    printf("}\n");
}

int main(int argc, char **argv) {
    static load_result result;
    arguments a = {
        .settings = {.path = "/v1/completions",
                     .n_connections = 8,
                     .timeout = 120,
                     .key = getenv("PITH_KEY")},
        .prompt = "Request @N@: once upon a time",
        .n_tokens = 32,
    };
    read_options(argc, argv, &a);
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    read_address(argv[optind], &a.settings);
    if (a.settings.n_requests == 0 && a.settings.seconds == 0) {
        a.settings.seconds = 10;
    }
    char *body = a.body_file != NULL ? read_file(a.body_file) : make_body(&a);
    a.settings.body = body;
    allow_files(a.settings.n_connections);
    int failed = load_run(&a.settings, &result);
    if (failed == 0) {
        report(&a.settings, &result);
    }
    free(body);
    load_samples_free(&result.first_token);
    load_samples_free(&result.inter_token);
    load_samples_free(&result.latency);
    load_samples_free(&result.rejected);
    return failed == 0 && result.by_status[200] > 0 ? 0 : 1;
}
