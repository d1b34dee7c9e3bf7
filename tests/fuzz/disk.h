/* A file system under SQLite, one of whose calls fails: reading, writing, locking, opening or
 * whatever else that call does. */
#ifndef PITH_TESTS_FUZZ_DISK_H
#define PITH_TESTS_FUZZ_DISK_H

#include <stddef.h>
#include <stdint.h>

/* Puts it between SQLite and the system's own. Called once, before a database is opened. */
void fuzz_disk_init(void);

/* Makes one of the next calls fail; a hash of the input chooses which one, and how.
 * fuzz_disk_disarm ends that. */
void fuzz_disk_arm(const uint8_t *data, size_t size);
void fuzz_disk_disarm(void);

#endif
