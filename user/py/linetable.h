/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linetable.h - from an instruction to its line, for every table format of CPython. Pure, bounded
 * by the table's length, safe on any bytes.
 *
 * Sources: Objects/lnotab_notes.txt (2.7 to 3.10), Objects/locations.md (3.11 on).
 */
#ifndef PV_PY_LINETABLE_H
#define PV_PY_LINETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The line of instruction @lasti (as in struct pv_frame) in the table of a code object of @version
 * (major << 8 | minor) whose first line is @firstlineno. 0 when the table gives that instruction no
 * line or is damaged before it.
 */
int32_t py_line(uint16_t version, const void *table, size_t len, int32_t firstlineno,
                int32_t lasti);

/*
 * Is py_line() of @lasti sure although only the first @len bytes of the table are there? Up to 3.9
 * the last entry of a table is open-ended, so that a cut table would lend its last line to all that
 * follows; later formats say themselves, by line 0, that they end too early.
 */
bool py_line_reaches(uint16_t version, const void *table, size_t len, int32_t lasti);

#endif
