// SPDX-License-Identifier: Apache-2.0
/*
 * check_lines - compare py_line() with what an interpreter says of its own code objects.
 *
 * stdin: the records that dump_lines.py writes (see there), one a code object. stdout: one line of
 * counts. Status 0: no mismatch and a stream that ends where a record ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "py/linetable.h"

#define MISMATCHES_SHOWN 20
#define SIZE_MAX_SANE    (64u << 20)
/* A look-up takes time in proportion to its table. Larger products are looked at in samples. */
#define PRODUCT_MAX (1ull << 25)

struct header {
	uint32_t version;
	int32_t firstlineno;
	uint32_t code_len;
	uint32_t table_len;
	uint32_t range_cnt;
};

struct range {
	int32_t start; /* bytes of bytecode */
	int32_t end;
	int32_t line;
};

struct counts {
	uint64_t codes;
	uint64_t lines;
	uint64_t no_line;
	uint64_t backwards;
	uint64_t mismatches;
	uint32_t largest_table;
};

static void *read_array(uint32_t cnt, size_t size)
{
	void *data = calloc((size_t)cnt + 1, size);

	if (data && fread(data, size, cnt, stdin) != cnt) {
		free(data);
		return NULL;
	}
	return data;
}

static void check_code(const struct header *head, const struct range *ranges, const void *table,
                       struct counts *counts)
{
	uint16_t version = (uint16_t)head->version;
	int32_t step = version < 0x0300 ? 1 : 2, unit = version == 0x030a ? 2 : 1, before = 0;
	uint64_t skip = 1 + (uint64_t)head->code_len * head->table_len / PRODUCT_MAX;
	uint32_t at = 0;

	for (int32_t byte = 0; byte < (int32_t)head->code_len; byte += step) {
		int32_t expect, line;

		while (at < head->range_cnt && ranges[at].end <= byte)
			at++;
		if ((uint32_t)(byte / step) % skip)
			continue;
		expect = at < head->range_cnt && ranges[at].start <= byte ? ranges[at].line : 0;
		line = py_line(version, table, head->table_len, head->firstlineno, byte / unit);
		counts->lines++;
		counts->no_line += !expect;
		counts->backwards += expect && expect < before;
		before = expect;
		if (line != expect && counts->mismatches++ < MISMATCHES_SHOWN)
			fprintf(stderr, "first line %d, byte %d: line %d, is %d\n",
			        head->firstlineno, byte, line, expect);
	}
	counts->codes++;
	if (head->table_len > counts->largest_table)
		counts->largest_table = head->table_len;
}

/* 0: a code object was checked; 1: end of the stream; -1: damaged. */
static int check_next(struct counts *counts)
{
	struct range *ranges = NULL;
	void *table = NULL;
	struct header head;
	size_t got = fread(&head, 1, sizeof(head), stdin);
	int err = -1;

	if (got != sizeof(head))
		return got ? -1 : 1;
	if (head.code_len > SIZE_MAX_SANE || head.table_len > SIZE_MAX_SANE ||
	    head.range_cnt > SIZE_MAX_SANE)
		return -1;
	ranges = read_array(head.range_cnt, sizeof(*ranges));
	if (!ranges)
		goto out;
	table = read_array(head.table_len, 1);
	if (!table)
		goto out;
	check_code(&head, ranges, table, counts);
	err = 0;
out:
	free(table);
	free(ranges);
	return err;
}

int main(void)
{
	struct counts counts = { 0 };
	int end;

	do {
		end = check_next(&counts);
	} while (!end);
	printf("codes %llu lines %llu none %llu backwards %llu largest %u mismatches %llu\n",
	       (unsigned long long)counts.codes, (unsigned long long)counts.lines,
	       (unsigned long long)counts.no_line, (unsigned long long)counts.backwards,
	       counts.largest_table, (unsigned long long)counts.mismatches);
	if (end < 0)
		fprintf(stderr, "the stream is damaged\n");
	return end < 0 || counts.mismatches;
}
