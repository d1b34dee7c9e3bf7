/* Recognising files by their first bytes. */
#include "base/file_kind.h"

#include "base/gguf_look.h"
#include "base/status.h"
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_TEXT = 1024 /* bytes of a text that a server sends instead of a file */ };

/* What each kind is called. Kinds with `failed` are the result of a failed download or copy, and it
 * says what to do. */
static const struct {
    const char *what;
    const char *failed;
} kinds[PITH_N_FILE_KINDS] = {
    [PITH_FILE_OTHER] = {"a file of an unknown kind", NULL},
    [PITH_FILE_EMPTY] = {"empty", "download it again"},
    [PITH_FILE_LFS_POINTER] = {"a Git LFS pointer, not the file itself",
                               "fetch it with 'git lfs pull', or download the file"},
    [PITH_FILE_HTML] = {"an HTML page, not the file itself",
                        "the download failed, or the repository asks for a login"},
    [PITH_FILE_LINK] = {"a symbolic link that became a text",
                        "put the file that it names in its place"},
    [PITH_FILE_TEXT] = {"a text, not the file itself",
                        "the download failed, or the repository asks for a login"},
    [PITH_FILE_JSON] = {"a JSON text", NULL},
    [PITH_FILE_SAFETENSORS] = {"a safetensors file", NULL},
    [PITH_FILE_PITH] = {"a .pith file", NULL},
    [PITH_FILE_GGUF] = {"a GGUF file", NULL},
    [PITH_FILE_GGUF_ADAPTER] = {"a GGUF adapter", NULL},
    [PITH_FILE_GGML] = {"a GGML file", NULL},
    [PITH_FILE_PICKLE] = {"a Python pickle, as PyTorch writes them", NULL},
    [PITH_FILE_ZIP] = {"a ZIP archive, as PyTorch writes checkpoints", NULL},
    [PITH_FILE_COMPRESSED] = {"a compressed archive", NULL},
    [PITH_FILE_HDF5] = {"an HDF5 file, as TensorFlow writes weights", NULL},
    [PITH_FILE_NUMPY] = {"a NumPy array", NULL},
    [PITH_FILE_ONNX] = {"an ONNX model", NULL},
    [PITH_FILE_SQLITE] = {"a SQLite database", NULL},
    [PITH_FILE_TIKTOKEN] = {"a vocabulary of tiktoken", NULL},
};

static const struct {
    const char *bytes;
    size_t n;
    pith_file_kind kind;
} beginnings[] = {
    {"version https://git-lfs.github.com/", 35, PITH_FILE_LFS_POINTER},
    {"version https://hawser.github.com/", 34, PITH_FILE_LFS_POINTER},
    {"GGUF", 4, PITH_FILE_GGUF},
    {"lmgg", 4, PITH_FILE_GGML},
    {"fmgg", 4, PITH_FILE_GGML},
    {"tjgg", 4, PITH_FILE_GGML},
    {"algg", 4, PITH_FILE_GGML},
    {"PK\x03\x04", 4, PITH_FILE_ZIP},
    {"\x80\x02", 2, PITH_FILE_PICKLE},
    {"\x80\x03", 2, PITH_FILE_PICKLE},
    {"\x80\x04\x95", 3, PITH_FILE_PICKLE},
    {"\x80\x05\x95", 3, PITH_FILE_PICKLE},
    {"\x1f\x8b\x08", 3, PITH_FILE_COMPRESSED},
    {"\xfd"
     "7zXZ",
     5, PITH_FILE_COMPRESSED},
    {"\x28\xb5\x2f\xfd", 4, PITH_FILE_COMPRESSED},
    {"7z\xbc\xaf\x27\x1c", 6, PITH_FILE_COMPRESSED},
    {"BZh", 3, PITH_FILE_COMPRESSED},
    {"\x89HDF\r\n\x1a\n", 8, PITH_FILE_HDF5},
    {"\x93NUMPY", 6, PITH_FILE_NUMPY},
    {"SQLite format 3", 16, PITH_FILE_SQLITE},
};

static bool is_space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static unsigned char lower(unsigned char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool begins_with(const unsigned char *bytes, size_t n, const char *word) {
    size_t m = strlen(word);
    for (size_t i = 0; i < m; i++) {
        if (i >= n || lower(bytes[i]) != (unsigned char)word[i]) {
            return false;
        }
    }
    return true;
}

/* Skips a byte order mark and white space. */
static size_t text_begin(const unsigned char *bytes, size_t n) {
    size_t i = n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < n && is_space(bytes[i])) {
        i++;
    }
    return i;
}

static bool is_html(const unsigned char *bytes, size_t n) {
    static const char *const words[] = {"<!doctype html", "<html", "<head>", "<head ", "<?xml"};
    size_t i = text_begin(bytes, n);
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        if (begins_with(bytes + i, n - i, words[w])) {
            return true;
        }
    }
    return false;
}

/* True for a header length that fits, with JSON behind it. */
static bool is_safetensors(const unsigned char *bytes, size_t n, size_t file_size) {
    uint64_t length = 0;
    if (n < 9 || bytes[8] != '{') {
        return false;
    }
    for (size_t i = 8; i-- > 0;) {
        length = length << 8 | bytes[i];
    }
    return length <= file_size - 8;
}

static bool holds(const unsigned char *bytes, size_t n, const char *word) {
    size_t m = strlen(word);
    for (size_t i = 0; i + m <= n; i++) {
        if (memcmp(bytes + i, word, m) == 0) {
            return true;
        }
    }
    return false;
}

/* ModelProto: ir_version, then producer_name, a word. A SentencePiece model has pieces first. */
static bool is_onnx(const unsigned char *bytes, size_t n) {
    if (n < 6 || bytes[0] != 0x08 || bytes[1] == 0 || bytes[1] > 32 || bytes[2] != 0x12 ||
        bytes[3] > 64 || bytes[3] == 0 || (size_t)bytes[3] + 4 > n) {
        return false;
    }
    for (size_t i = 0; i < bytes[3]; i++) {
        if (bytes[4 + i] < 0x20 || bytes[4 + i] > 0x7e) {
            return false;
        }
    }
    return true;
}

/* "IQ== 0\n": base64, a space, a rank. */
static bool is_tiktoken(const unsigned char *bytes, size_t n) {
    size_t i = 0;
    size_t begin;
    while (i < n && (bytes[i] == '+' || bytes[i] == '/' || bytes[i] == '=' ||
                     (bytes[i] >= '0' && bytes[i] <= '9') ||
                     (lower(bytes[i]) >= 'a' && lower(bytes[i]) <= 'z'))) {
        i++;
    }
    if (i == 0 || i % 4 != 0 || i == n || bytes[i] != ' ') {
        return false;
    }
    begin = ++i;
    while (i < n && bytes[i] >= '0' && bytes[i] <= '9') {
        i++;
    }
    return i > begin && i < n && (bytes[i] == '\n' || bytes[i] == '\r');
}

/* True for a short file with nothing in it but text. */
static bool is_text(const unsigned char *bytes, size_t n, size_t file_size) {
    if (file_size > MAX_TEXT || n < file_size) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((bytes[i] < 0x20 && !is_space(bytes[i])) || bytes[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* True for a relative path and nothing more. */
static bool is_link(const unsigned char *bytes, size_t n, size_t file_size) {
    if (n < 3 || n < file_size || (memcmp(bytes, "../", 3) != 0 && memcmp(bytes, "./", 2) != 0)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_space(bytes[i]) && i + 1 < n) {
            return false;
        }
    }
    return is_text(bytes, n, file_size);
}

static pith_file_kind find_kind(const unsigned char *bytes, size_t n, size_t file_size) {
    if (file_size == 0) {
        return PITH_FILE_EMPTY;
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (n >= beginnings[i].n && memcmp(bytes, beginnings[i].bytes, beginnings[i].n) == 0) {
            return beginnings[i].kind;
        }
    }
    if (is_safetensors(bytes, n, file_size)) {
        return holds(bytes, n, "\"__metadata__\":{\"pith\":") ? PITH_FILE_PITH
                                                              : PITH_FILE_SAFETENSORS;
    }
    size_t begin = text_begin(bytes, n);
    return is_html(bytes, n)                                           ? PITH_FILE_HTML
           : n >= 262 && memcmp(bytes + 257, "ustar", 5) == 0          ? PITH_FILE_COMPRESSED
           : begin < n && (bytes[begin] == '{' || bytes[begin] == '[') ? PITH_FILE_JSON
           : is_onnx(bytes, n)                                         ? PITH_FILE_ONNX
           : is_tiktoken(bytes, n)                                     ? PITH_FILE_TIKTOKEN
           : is_link(bytes, n, file_size)                              ? PITH_FILE_LINK
           : is_text(bytes, n, file_size)                              ? PITH_FILE_TEXT
                                                                       : PITH_FILE_OTHER;
}

/* Adds what a GGUF file says about itself. */
static void describe_gguf(pith_file_look *look, const unsigned char *bytes, size_t n) {
    pith_gguf_look gguf;
    if (!pith_gguf_look_at(&gguf, bytes, n)) {
        return;
    }
    if (strcmp(gguf.type, "adapter") == 0) {
        look->kind = PITH_FILE_GGUF_ADAPTER;
        const char *of = gguf.base[0] != '\0' ? gguf.base : gguf.architecture;
        if (of[0] != '\0') {
            snprintf(look->detail, sizeof look->detail, " for %s", of);
        }
    } else if (gguf.name[0] != '\0') {
        snprintf(look->detail, sizeof look->detail, " of %s", gguf.name);
    }
}

/* The first line of a text, in quotes. */
static void quote_line(pith_file_look *look, const unsigned char *bytes, size_t n) {
    size_t i = text_begin(bytes, n);
    size_t length = 0;
    while (i + length < n && length < 100 && bytes[i + length] != '\n' &&
           bytes[i + length] != '\r') {
        length++;
    }
    snprintf(look->detail, sizeof look->detail, " (\"%.*s\")", (int)length,
             (const char *)bytes + i);
}

pith_file_look pith_file_look_at(const void *bytes, size_t n, size_t file_size) {
    pith_file_look look = {.kind = find_kind(bytes, n, file_size)};
    if (look.kind == PITH_FILE_GGUF) {
        describe_gguf(&look, bytes, n);
    } else if (look.kind == PITH_FILE_TEXT || look.kind == PITH_FILE_LINK) {
        quote_line(&look, bytes, n);
    }
    return look;
}

pith_file_look pith_file_look_in(const pith_file *file, const pith_allocator *allocator) {
    pith_file_look look = {.kind = PITH_FILE_OTHER};
    pith_error ignored;
    size_t n = file->size < PITH_FILE_LOOK ? file->size : PITH_FILE_LOOK;
    unsigned char *bytes = pith_allocate(allocator, n + 1, 1);
    if (bytes != NULL && pith_file_read(file, 0, bytes, n, &ignored) == PITH_OK) {
        look = pith_file_look_at(bytes, n, file->size);
    }
    pith_release(allocator, bytes);
    return look;
}

pith_file_kind pith_file_kind_at(const char *path) {
    unsigned char bytes[4096]; /* enough for all kinds but archives and adapters */
    pith_file file;
    pith_file_kind kind = PITH_FILE_OTHER;
    if (pith_file_open(&file, path, NULL) != PITH_OK) {
        return kind;
    }
    size_t n = file.size < sizeof bytes ? file.size : sizeof bytes;
    if (pith_file_read(&file, 0, bytes, n, NULL) == PITH_OK) {
        kind = pith_file_look_at(bytes, n, file.size).kind;
    }
    pith_file_close(&file);
    return kind;
}

const char *pith_file_kind_what(pith_file_kind kind) {
    return kinds[(unsigned)kind < PITH_N_FILE_KINDS ? kind : PITH_FILE_OTHER].what;
}

pith_status pith_fail_kind(pith_error *error, const char *path, const pith_file_look *look,
                           const char *otherwise) {
    const char *failed = kinds[look->kind].failed;
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: is %s%s%s%s", path, kinds[look->kind].what,
                     look->detail, failed != NULL ? "; " : "", failed != NULL ? failed : otherwise);
}

/* ---- Names of models on a hub ---------------------------------------------------------------- */

static bool is_hub_word(const char *text, size_t n) {
    if (n == 0 || n > 96 || text[0] == '.' || text[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = lower((unsigned char)text[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
              c == '_')) {
            return false;
        }
    }
    return true;
}

/* True when a path with the owner's name exists: the name may then be meant as a file. */
static bool owner_exists(const char *name, size_t n) {
    char owner[PITH_HUB_NAME];
    struct stat facts;
    memcpy(owner, name, n);
    owner[n] = '\0';
    return stat(owner, &facts) == 0;
}

bool pith_hub_name(const char *path, char out[PITH_HUB_NAME]) {
    static const char *const hosts[] = {"https://huggingface.co/", "http://huggingface.co/",
                                        "huggingface.co/", "https://hf.co/", "hf.co/"};
    static const char *const files[] = {".pith", ".gguf", ".safetensors", ".bin", ".json"};
    bool address = false;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0] && !address; i++) {
        size_t n = strlen(hosts[i]);
        if (strncmp(path, hosts[i], n) == 0) {
            path += n;
            address = true;
        }
    }
    const char *slash = strchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    const char *name = slash + 1;
    size_t n_owner = (size_t)(slash - path);
    size_t n_name = strcspn(name, "/");
    if (!is_hub_word(path, n_owner) || !is_hub_word(name, n_name)) {
        return false;
    }
    if (!address) {
        if (name[n_name] != '\0' || owner_exists(path, n_owner)) {
            return false;
        }
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            if (pith_ends_with(name, files[i])) {
                return false;
            }
        }
    }
    snprintf(out, PITH_HUB_NAME, "%.*s/%.*s", (int)n_owner, path, (int)n_name, name);
    return true;
}

pith_status pith_fail_hub_name(pith_error *error, const char *path, const char *hub_name) {
    const char *name = strchr(hub_name, '/') + 1;
    return pith_fail(error, PITH_ERROR_IO,
                     "%s: no such file or directory; a model of that name on huggingface.co is "
                     "downloaded by 'hf download %s --local-dir %s' and converted by 'pith convert "
                     "%s %s.pith --type int4'",
                     path, hub_name, name, name, name);
}
