// SPDX-License-Identifier: Apache-2.0
/*
 * otlp.c - OTLP profiles over HTTP, version v1development, which is still in motion: all that is known
 * of it is here. Field numbers: github.com/open-telemetry/opentelemetry-proto at 1.9 and later,
 * opentelemetry/proto/profiles/v1development/profiles.proto and
 * collector/profiles/v1development/profiles_service.proto.
 *
 * One message has one dictionary, of which samples, stacks and attributes are indices; index 0 of each
 * table is the empty element. One resource for each group of processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/export.h"
#include "export/groups.h"
#include "out/ledger.h"
#include "out/pb.h"
#include "out/text.h"
#include "out/view.h"

enum request_field {
	REQUEST_RESOURCE_PROFILES = 1,
	REQUEST_DICTIONARY = 2,
};

enum dictionary_field {
	DICTIONARY_MAPPING = 1,
	DICTIONARY_LOCATION = 2,
	DICTIONARY_FUNCTION = 3,
	DICTIONARY_LINK = 4,
	DICTIONARY_STRING = 5,
	DICTIONARY_ATTRIBUTE = 6,
	DICTIONARY_STACK = 7,
};

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLES = 2,
	PROFILE_TIME_UNIX_NANO = 3,
	PROFILE_DURATION_NANO = 4,
	PROFILE_PERIOD_TYPE = 5,
	PROFILE_PERIOD = 6,
	PROFILE_ID = 7,
};

enum any_value_field {
	VALUE_STRING = 1,
	VALUE_INT = 3,
};

struct otlp {
	struct view view;
	const struct export_options *options;
	struct groups groups;
	struct pool strings;    /* the dictionary's */
	struct pool attributes; /* encoded */
	struct pool functions;  /* encoded */
	uint32_t *stack_of;     /* stack by view node; 0: not met yet */
	uint32_t stack_cnt;
	struct buf stacks; /* their part of the dictionary */
	struct buf text;   /* scratch, of one function each */
	struct buf any;
	struct buf pair;
	struct buf part;
	int err;
};

static void otlp_check(struct otlp *otlp, const struct buf *buf)
{
	if (buf->err)
		otlp->err = buf->err;
}

static uint32_t intern(struct otlp *otlp, struct pool *pool, const struct buf *content)
{
	uint32_t id = pool_intern(pool, buf_str(content), content->len);

	otlp_check(otlp, content);
	if (id == HMAP_NONE)
		otlp->err = -ENOMEM;
	return id;
}

static uint32_t string_id(struct otlp *otlp, const char *s, size_t len)
{
	const char *end = s + len;

	buf_clear(&otlp->text);
	while (s < end)
		buf_put_utf8(&otlp->text, text_next(&s, end));
	return intern(otlp, &otlp->strings, &otlp->text);
}

static uint32_t string_c(struct otlp *otlp, const char *s)
{
	return string_id(otlp, s, strlen(s));
}

/* An AnyValue: a text, or a number if @s is NULL; into `any`. */
static void make_any(struct otlp *otlp, const char *s, size_t len, int64_t number)
{
	const char *end = s + len;

	buf_clear(&otlp->any);
	if (!s) {
		/* one of a oneof is written, zero too */
		pb_varint(&otlp->any, VALUE_INT << 3);
		pb_varint(&otlp->any, (uint64_t)number);
	} else {
		buf_clear(&otlp->text);
		while (s < end)
			buf_put_utf8(&otlp->text, text_next(&s, end));
		otlp_check(otlp, &otlp->text);
		pb_bytes(&otlp->any, VALUE_STRING, buf_str(&otlp->text), otlp->text.len);
	}
	otlp_check(otlp, &otlp->any);
}

/* A resource's attribute, a KeyValue, as field @field of @out. */
static void add_key_value(struct otlp *otlp, struct buf *out, uint32_t field, const char *key,
                          const char *s, size_t len)
{
	make_any(otlp, s, len, 0);
	buf_clear(&otlp->pair);
	pb_bytes(&otlp->pair, 1, key, strlen(key));
	pb_bytes(&otlp->pair, 2, buf_str(&otlp->any), otlp->any.len);
	otlp_check(otlp, &otlp->pair);
	pb_bytes(out, field, buf_str(&otlp->pair), otlp->pair.len);
}

/* The index of an attribute of the dictionary, a KeyValueAndUnit. */
static uint32_t attribute_id(struct otlp *otlp, const char *key, const char *s, size_t len,
                             int64_t number)
{
	uint32_t key_id = string_c(otlp, key);

	make_any(otlp, s, len, number);
	buf_clear(&otlp->pair);
	pb_uint(&otlp->pair, 1, key_id);
	pb_bytes(&otlp->pair, 2, buf_str(&otlp->any), otlp->any.len);
	return intern(otlp, &otlp->attributes, &otlp->pair);
}

/* The stack that ends at @node: its locations, leaf first, are view frames + 1. */
static uint32_t stack_id(struct otlp *otlp, uint32_t node)
{
	if (otlp->stack_of[node])
		return otlp->stack_of[node];
	buf_clear(&otlp->part);
	buf_clear(&otlp->pair);
	for (uint32_t at = node; at != VIEW_ROOT; at = otlp->view.nodes[at].parent)
		pb_varint(&otlp->part, (uint64_t)otlp->view.nodes[at].frame + 1);
	pb_bytes(&otlp->pair, 1, buf_str(&otlp->part), otlp->part.len);
	pb_bytes(&otlp->stacks, DICTIONARY_STACK, buf_str(&otlp->pair), otlp->pair.len);
	otlp_check(otlp, &otlp->part);
	otlp_check(otlp, &otlp->pair);
	otlp->stack_of[node] = ++otlp->stack_cnt;
	return otlp->stack_of[node];
}

/* What is said of a sample: its thread and its process. Ids into `part`. */
static void make_attributes(struct otlp *otlp, const struct profile_track *track)
{
	static const struct {
		const char *label, *key;
	} more[] = {
		{ PROFILE_COMM, "process.executable.name" },
		{ PROFILE_PYTHON, "process.runtime.version" },
	};
	const struct profile *profile = otlp->view.profile;
	struct buf ids = { 0 };
	const char *s;
	size_t len;

	if (track->pid)
		pb_varint(&ids, attribute_id(otlp, "process.pid", NULL, 0, track->pid));
	if (track->tid)
		pb_varint(&ids, attribute_id(otlp, "thread.id", NULL, 0, track->tid));
	s = profile__string_at(profile, track->thread, &len);
	if (len)
		pb_varint(&ids, attribute_id(otlp, "thread.name", s, len, 0));
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		uint32_t name = profile__find_string(profile, more[i].label, strlen(more[i].label));
		uint32_t value = name == PROFILE_NONE ? PROFILE_NONE
		                                      : profile__label_of(profile, track, name);

		if (value == PROFILE_NONE)
			continue;
		s = profile__string_at(profile, value, &len);
		pb_varint(&ids, attribute_id(otlp, more[i].key, s, len, 0));
	}
	s = profile__string_at(profile, track->process, &len);
	if (otlp->options->cmdlines && len)
		pb_varint(&ids, attribute_id(otlp, "process.command_line", s, len, 0));
	buf_clear(&otlp->part);
	buf_add(&otlp->part, buf_str(&ids), ids.len);
	otlp_check(otlp, &ids);
	otlp_check(otlp, &otlp->part);
	buf_free(&ids);
}

static void add_sample(struct otlp *otlp, struct buf *out, const struct profile_value *value,
                       uint32_t node)
{
	uint32_t stack = stack_id(otlp, node);
	struct buf sample = { 0 };

	make_attributes(otlp, profile__track_at(otlp->view.profile, value->track));
	pb_uint(&sample, 1, stack);
	pb_bytes(&sample, 2, buf_str(&otlp->part), otlp->part.len);
	buf_clear(&otlp->part);
	pb_varint(&otlp->part, value->cnt);
	pb_bytes(&sample, 4, buf_str(&otlp->part), otlp->part.len);
	pb_bytes(out, PROFILE_SAMPLES, buf_str(&sample), sample.len);
	otlp_check(otlp, &sample);
	buf_free(&sample);
}

static void add_value_type(struct otlp *otlp, struct buf *out, uint32_t field, const char *type,
                           const char *unit)
{
	uint32_t type_id = string_c(otlp, type), unit_id = string_c(otlp, unit);

	buf_clear(&otlp->part);
	pb_uint(&otlp->part, 1, type_id);
	pb_uint(&otlp->part, 2, unit_id);
	otlp_check(otlp, &otlp->part);
	pb_bytes(out, field, buf_str(&otlp->part), otlp->part.len);
}

/* The Profile of one group. Its id is the request's, with the group's number mixed in. */
static void make_profile(struct otlp *otlp, uint32_t group, struct buf *out)
{
	const struct profile_meta *meta = profile__meta(otlp->view.profile);
	unsigned char id[EXPORT_ID_LEN];
	size_t cnt;
	const struct profile_value *values = profile__values(otlp->view.profile, &cnt);

	add_value_type(otlp, out, PROFILE_SAMPLE_TYPE, "samples", "count");
	for (size_t i = 0; i < cnt; i++)
		if (otlp->groups.of_track[values[i].track] == group)
			add_sample(otlp, out, &values[i], otlp->view.value_nodes[i]);
	pb_fixed64(out, PROFILE_TIME_UNIX_NANO, meta->start_unix_ns);
	pb_uint(out, PROFILE_DURATION_NANO, meta->duration_ns);
	add_value_type(otlp, out, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds");
	pb_uint(out, PROFILE_PERIOD, ledger_period_ns(meta));
	memcpy(id, otlp->options->id, sizeof(id));
	for (size_t i = 0; i < sizeof(group); i++)
		id[sizeof(id) - 1 - i] ^= (unsigned char)(group >> 8 * i);
	pb_bytes(out, PROFILE_ID, id, sizeof(id));
}

static void make_resource(struct otlp *otlp, uint32_t group, struct buf *out)
{
	add_key_value(otlp, out, 1, "host.name", otlp->options->host, strlen(otlp->options->host));
	for (enum group_label label = 0; label < GROUP_LABELS; label++) {
		size_t len = 0;
		const char *value =
			groups_value(otlp->view.profile, &otlp->groups.groups[group], label, &len);

		if (value)
			add_key_value(otlp, out, 1, group_names[label].otlp, value, len);
	}
}

/* A ResourceProfiles: the resource, and a ScopeProfiles with the Profile. */
static void write_group(struct otlp *otlp, uint32_t group, struct buf *body)
{
	struct buf resource = { 0 }, scope = { 0 }, profile = { 0 };

	make_resource(otlp, group, &resource);
	pb_bytes(&profile, 1, "pitviper", strlen("pitviper")); /* InstrumentationScope */
	pb_bytes(&profile, 2, otlp->options->version, strlen(otlp->options->version));
	pb_bytes(&scope, 1, buf_str(&profile), profile.len);
	otlp_check(otlp, &profile);
	buf_clear(&profile);
	make_profile(otlp, group, &profile);
	pb_bytes(&scope, 2, buf_str(&profile), profile.len);
	otlp_check(otlp, &profile);
	buf_clear(&profile);
	pb_bytes(&profile, 1, buf_str(&resource), resource.len);
	pb_bytes(&profile, 2, buf_str(&scope), scope.len);
	pb_bytes(body, REQUEST_RESOURCE_PROFILES, buf_str(&profile), profile.len);
	otlp_check(otlp, &resource);
	otlp_check(otlp, &scope);
	otlp_check(otlp, &profile);
	buf_free(&resource);
	buf_free(&scope);
	buf_free(&profile);
}

static uint32_t function_id(struct otlp *otlp, const struct view_frame *frame)
{
	size_t name_len, path_len = 0;
	const char *name = view_text_at(&otlp->view, frame->name, &name_len), *path = "";
	uint32_t name_id, path_id;

	if (frame->path != VIEW_NONE)
		path = profile__string_at(otlp->view.profile, frame->path, &path_len);
	name_id = string_id(otlp, name, name_len);
	path_id = string_id(otlp, path, path_len);
	buf_clear(&otlp->part);
	pb_uint(&otlp->part, 1, name_id);
	pb_uint(&otlp->part, 3, path_id);
	pb_int(&otlp->part, 4, frame->first_line);
	return intern(otlp, &otlp->functions, &otlp->part);
}

/* Location i + 1 is view frame i. A mark such as [lost] is of no language. */
static void write_locations(struct otlp *otlp, struct buf *out)
{
	pb_bytes(out, DICTIONARY_LOCATION, "", 0);
	for (uint32_t i = 0; i < otlp->view.frame_cnt && !otlp->err; i++) {
		const struct view_frame *frame = &otlp->view.frames[i];
		uint32_t function = function_id(otlp, frame), type = 0;
		struct buf location = { 0 };

		if (frame->path != VIEW_NONE)
			type = attribute_id(otlp, "profile.frame.type", "cpython",
			                    strlen("cpython"), 0);
		buf_clear(&otlp->part);
		pb_uint(&otlp->part, 1, function);
		pb_int(&otlp->part, 2, frame->line);
		pb_bytes(&location, 3, buf_str(&otlp->part), otlp->part.len);
		if (type) {
			buf_clear(&otlp->part);
			pb_varint(&otlp->part, type);
			pb_bytes(&location, 4, buf_str(&otlp->part), otlp->part.len);
		}
		pb_bytes(out, DICTIONARY_LOCATION, buf_str(&location), location.len);
		otlp_check(otlp, &otlp->part);
		otlp_check(otlp, &location);
		buf_free(&location);
	}
}

static void write_pool(const struct pool *pool, uint32_t field, struct buf *out)
{
	for (uint32_t i = 0; i < pool->cnt; i++)
		pb_bytes(out, field, pool->entries[i].data, pool->entries[i].len);
}

static void write_dictionary(struct otlp *otlp, struct buf *body)
{
	static const char no_trace[16], no_span[8];
	struct buf out = { 0 };

	pb_bytes(&out, DICTIONARY_MAPPING, "", 0);
	write_locations(otlp, &out);
	write_pool(&otlp->functions, DICTIONARY_FUNCTION, &out);
	buf_clear(&otlp->part);
	pb_bytes(&otlp->part, 1, no_trace, sizeof(no_trace));
	pb_bytes(&otlp->part, 2, no_span, sizeof(no_span));
	pb_bytes(&out, DICTIONARY_LINK, buf_str(&otlp->part), otlp->part.len);
	write_pool(&otlp->attributes, DICTIONARY_ATTRIBUTE, &out);
	pb_bytes(&out, DICTIONARY_STACK, "", 0);
	buf_add(&out, buf_str(&otlp->stacks), otlp->stacks.len);
	write_pool(&otlp->strings, DICTIONARY_STRING, &out);
	pb_bytes(body, REQUEST_DICTIONARY, buf_str(&out), out.len);
	otlp_check(otlp, &out);
	otlp_check(otlp, &otlp->stacks);
	otlp_check(otlp, &otlp->part);
	buf_free(&out);
}

static int otlp_write(struct profile *profile, const struct export_options *options,
                      struct buf *body)
{
	static const struct out_view view = { 0 };
	struct otlp otlp = { .options = options };

	otlp.err = view_open(&otlp.view, profile, &view, VIEW_RAW);
	if (!otlp.err)
		otlp.err = groups_make(profile, &otlp.groups);
	if (!otlp.err) {
		otlp.stack_of = calloc((size_t)otlp.view.node_cnt + 1, sizeof(*otlp.stack_of));
		if (!otlp.stack_of || pool_intern(&otlp.strings, "", 0) ||
		    pool_intern(&otlp.attributes, "", 0) || pool_intern(&otlp.functions, "", 0))
			otlp.err = -ENOMEM;
	}
	for (uint32_t i = 0; i < otlp.groups.cnt && !otlp.err; i++)
		write_group(&otlp, i, body);
	if (!otlp.err)
		write_dictionary(&otlp, body);
	otlp_check(&otlp, body);
	view_close(&otlp.view);
	groups_free(&otlp.groups);
	pool_free(&otlp.strings);
	pool_free(&otlp.attributes);
	pool_free(&otlp.functions);
	free(otlp.stack_of);
	buf_free(&otlp.stacks);
	buf_free(&otlp.text);
	buf_free(&otlp.any);
	buf_free(&otlp.pair);
	buf_free(&otlp.part);
	return otlp.err;
}

/* ExportProfilesServiceResponse: partial_success = 1 { rejected_profiles = 1 } */
static uint64_t otlp_rejected(const char *body, size_t len)
{
	uint64_t rejected = 0;
	struct pb_reader response = { body, body + len }, success;
	struct pb_value value;

	while (pb_next(&response, &value)) {
		if (value.field != 1 || !value.data)
			continue;
		success = (struct pb_reader){ value.data, value.data + value.number };
		while (pb_next(&success, &value))
			if (value.field == 1 && !value.data)
				rejected = value.number;
	}
	return rejected;
}

const struct export_writer export_otlp = {
	.name = "otlp",
	.summary = "OTLP profiles over HTTP: an OpenTelemetry Collector, Pyroscope",
	.path = "/v1development/profiles",
	.content_type = "application/x-protobuf",
	.gzip = true,
	.write = otlp_write,
	.rejected = otlp_rejected,
};
