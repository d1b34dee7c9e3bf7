/* See disk.h: a VFS of SQLite that passes every call on to the default one but for the one that
 * fails. */
#include "tests/fuzz/disk.h"

#include "tests/fuzz/input.h"

#include <sqlite3.h>

static sqlite3_vfs *system_vfs;
static sqlite3_vfs vfs;
static size_t calls_left; /* before one fails; 0: none will */
static int failure;       /* what that one returns */

/* A file of this VFS; the system's lies behind it. */
typedef struct disk_file {
    sqlite3_file base;
    char real[]; /* aligned as the pointer before it */
} disk_file;

static sqlite3_file *real(sqlite3_file *file) {
    return (sqlite3_file *)(void *)((disk_file *)file)->real;
}

/* SQLITE_OK, or what the call that begins must return. */
static int call(void) {
    return calls_left > 0 && --calls_left == 0 ? failure : SQLITE_OK;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int disk_close(sqlite3_file *file) {
    return real(file)->pMethods->xClose(real(file));
}

static int disk_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xRead(real(file), data, n, at);
}

static int disk_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xWrite(real(file), data, n, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xTruncate(real(file), size);
}

static int disk_sync(sqlite3_file *file, int flags) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xSync(real(file), flags);
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xFileSize(real(file), size);
}

static int disk_lock(sqlite3_file *file, int lock) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xLock(real(file), lock);
}

static int disk_unlock(sqlite3_file *file, int lock) {
    return real(file)->pMethods->xUnlock(real(file), lock);
}

static int disk_reserved(sqlite3_file *file, int *held) {
    return real(file)->pMethods->xCheckReservedLock(real(file), held);
}

static int disk_control(sqlite3_file *file, int op, void *argument) {
    return real(file)->pMethods->xFileControl(real(file), op, argument);
}

static int disk_sector(sqlite3_file *file) {
    return real(file)->pMethods->xSectorSize(real(file));
}

static int disk_traits(sqlite3_file *file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int disk_shared_map(sqlite3_file *file, int page, int size, int extend,
                           void volatile **memory) {
    int code = call();
    return code != SQLITE_OK
               ? code
               : real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
}

static int disk_shared_lock(sqlite3_file *file, int offset, int n, int flags) {
    int code = (flags & SQLITE_SHM_UNLOCK) != 0 ? SQLITE_OK : call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}

static void disk_shared_barrier(sqlite3_file *file) {
    real(file)->pMethods->xShmBarrier(real(file));
}

static int disk_shared_unmap(sqlite3_file *file, int remove) {
    return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static int disk_fetch(sqlite3_file *file, sqlite3_int64 at, int n, void **data) {
    int code = call();
    return code != SQLITE_OK ? code : real(file)->pMethods->xFetch(real(file), at, n, data);
}

static int disk_unfetch(sqlite3_file *file, sqlite3_int64 at, void *data) {
    return real(file)->pMethods->xUnfetch(real(file), at, data);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_traits,
    .xShmMap = disk_shared_map,
    .xShmLock = disk_shared_lock,
    .xShmBarrier = disk_shared_barrier,
    .xShmUnmap = disk_shared_unmap,
    .xFetch = disk_fetch,
    .xUnfetch = disk_unfetch,
};

/* ---- The file system ------------------------------------------------------------------------- */

static int disk_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                     int *flags_out) {
    (void)self;
    int code = call();
    if (code == SQLITE_READONLY) { /* as a file that may only be read opens */
        flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
        code = SQLITE_OK;
    }
    file->pMethods = NULL;
    if (code == SQLITE_OK) {
        code = system_vfs->xOpen(system_vfs, name, real(file), flags, flags_out);
        file->pMethods = real(file)->pMethods != NULL ? &methods : NULL;
    }
    return code;
}

static int disk_delete(sqlite3_vfs *self, const char *name, int sync) {
    (void)self;
    int code = call();
    return code != SQLITE_OK ? code : system_vfs->xDelete(system_vfs, name, sync);
}

static int disk_access(sqlite3_vfs *self, const char *name, int flags, int *out) {
    (void)self;
    int code = call();
    return code != SQLITE_OK ? code : system_vfs->xAccess(system_vfs, name, flags, out);
}

static int disk_full_name(sqlite3_vfs *self, const char *name, int n, char *out) {
    (void)self;
    int code = call();
    return code != SQLITE_OK ? code : system_vfs->xFullPathname(system_vfs, name, n, out);
}

static int disk_randomness(sqlite3_vfs *self, int n, char *out) {
    (void)self;
    for (int i = 0; i < n; i++) {
        out[i] = (char)(i * 37 + 1); /* an input does the same every time */
    }
    return n;
}

static int disk_sleep(sqlite3_vfs *self, int microseconds) {
    (void)self;
    return microseconds; /* nobody would be done meanwhile */
}

static int disk_time(sqlite3_vfs *self, double *out) {
    (void)self;
    return system_vfs->xCurrentTime(system_vfs, out);
}

static int disk_time_64(sqlite3_vfs *self, sqlite3_int64 *out) {
    (void)self;
    return system_vfs->xCurrentTimeInt64(system_vfs, out);
}

static int disk_last_error(sqlite3_vfs *self, int n, char *out) {
    (void)self;
    return system_vfs->xGetLastError(system_vfs, n, out);
}

void fuzz_disk_init(void) {
    system_vfs = sqlite3_vfs_find(NULL);
    fuzz_require(system_vfs != NULL && system_vfs->iVersion >= 2);
    vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(disk_file) + system_vfs->szOsFile,
        .mxPathname = system_vfs->mxPathname,
        .zName = "fuzz",
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_full_name,
        .xRandomness = disk_randomness,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xCurrentTimeInt64 = disk_time_64,
        .xGetLastError = disk_last_error,
    };
    fuzz_require(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

void fuzz_disk_arm(const uint8_t *data, size_t size) {
    static const int failures[] = {
        SQLITE_IOERR_READ, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC,
        SQLITE_FULL,       SQLITE_CANTOPEN,    SQLITE_READONLY_DIRECTORY,
        SQLITE_READONLY,   SQLITE_BUSY,        SQLITE_READONLY_CANTINIT,
        SQLITE_LOCKED,     SQLITE_PROTOCOL,    SQLITE_IOERR_NOMEM,
        SQLITE_PERM,       SQLITE_AUTH,        SQLITE_NOLFS,
        SQLITE_TOOBIG,
    };
    uint64_t hash = fuzz_hash(data, size);
    size_t among = (size_t)4 << (hash >> 50) % 10;
    failure = failures[(hash >> 20) % (sizeof failures / sizeof failures[0])];
    calls_left = 1 + (size_t)(hash >> 24 & 0xffff) % among;
}

void fuzz_disk_disarm(void) {
    calls_left = 0;
}
