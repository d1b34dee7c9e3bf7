/* What a file is, by its first bytes: for messages that say what was given by mistake and what to
 * do. It is used only for files that pith cannot read. */
#ifndef PITH_BASE_FILE_KIND_H
#define PITH_BASE_FILE_KIND_H

#include "base/file.h"

typedef enum pith_file_kind {
    PITH_FILE_OTHER, /* none of the kinds below */
    PITH_FILE_EMPTY,
    PITH_FILE_LFS_POINTER, /* what git leaves without git-lfs */
    PITH_FILE_HTML,        /* a web page, or the XML of a storage server */
    PITH_FILE_LINK, /* a path alone: a symbolic link where links are no files, as git and some
                       copies leave them */
    PITH_FILE_TEXT, /* a line or two of text, such as a server's error message */
    PITH_FILE_JSON,
    PITH_FILE_SAFETENSORS,
    PITH_FILE_PITH, /* a safetensors file with pith's metadata */
    PITH_FILE_GGUF,
    PITH_FILE_GGUF_ADAPTER,
    PITH_FILE_GGML,   /* the format before GGUF */
    PITH_FILE_PICKLE, /* PyTorch's, or any of Python's */
    PITH_FILE_ZIP,    /* PyTorch's too, from 1.6 on; .npz */
    PITH_FILE_COMPRESSED,
    PITH_FILE_HDF5, /* TensorFlow's and Keras's weights */
    PITH_FILE_NUMPY,
    PITH_FILE_ONNX,
    PITH_FILE_SQLITE,
    PITH_FILE_TIKTOKEN, /* lines of base64 and a rank */
    PITH_N_FILE_KINDS,
} pith_file_kind;

enum {
    PITH_FILE_LOOK = 64 << 10, /* bytes from the start of a file that are enough to know its kind */
    PITH_FILE_MAX_DETAIL = 160,
};

typedef struct pith_file_look {
    pith_file_kind kind;
    /* What else the bytes say, or "": of a GGUF file its model, of an adapter what it is for, of a
     * text its first line. */
    char detail[PITH_FILE_MAX_DETAIL];
} pith_file_look;

/* Looks at bytes [n] from the start of a file of file_size bytes. */
pith_file_look pith_file_look_at(const void *bytes, size_t n, size_t file_size);

/* Looks at an open file. One that cannot be read is OTHER: reading it will say why. */
pith_file_look pith_file_look_in(const pith_file *file, const pith_allocator *allocator);

/* The kind of the file at `path`; OTHER when it cannot be read. */
pith_file_kind pith_file_kind_at(const char *path);

/* "a GGUF file", "an HTML page, not the file itself". */
const char *pith_file_kind_what(pith_file_kind kind);

/* Fills `error` with FORMAT: the path, what the file is and what to do. `otherwise` begins with its
 * own punctuation and says what belongs here, for kinds that are no failed download. */
pith_status pith_fail_kind(pith_error *error, const char *path, const pith_file_look *look,
                           const char *otherwise);

/* Copies OWNER/NAME when `path` does not exist here and is the name of a model on huggingface.co,
 * or its address there. False otherwise. */
enum { PITH_HUB_NAME = 200 };
bool pith_hub_name(const char *path, char out[PITH_HUB_NAME]);

/* Fills `error` with IO: how to download that model and convert it. */
pith_status pith_fail_hub_name(pith_error *error, const char *path, const char *hub_name);

#endif
