/* Metadata documents for the tests of their reader. */
#ifndef PITH_TESTS_METADATA_H
#define PITH_TESTS_METADATA_H

#include "weights/metadata.h"

/* Every field set, to a value no other field of its struct has. The arrays are filled. */
pith_metadata test_full_metadata(pith_source sources[2], pith_tensor_note notes[3]);

/* The document of a metadata, and of that one, to be freed. */
char *test_write_document(const pith_metadata *metadata);
char *test_full_document(void);

/* That document with `section`.`key` replaced (NULL section: the top; NULL value: removed), to be
 * freed. */
char *test_changed_document(const char *section, const char *key, const char *value);

/* Reads a document as that of "m.pith" and forgets it again. */
pith_status test_read_document(const char *text, pith_error *error);

/* Checks that a document is refused with a message that has `part` in it. */
void test_refuse_document(const char *text, pith_status expected, const char *part);
void test_refuse_changed(const char *section, const char *key, const char *value,
                         pith_status expected, const char *part);

/* Equal, or both NULL. */
bool test_same_text(const char *a, const char *b);

#endif
