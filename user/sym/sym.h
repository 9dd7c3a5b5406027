/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sym.h - from what a sample carries (code object, fingerprint, instruction) to profile frames.
 *
 * A struct sym is what is known of one process image: its code objects by (address, fingerprint). It
 * comes from PV_EVENT_SYMBOL records; what was cut or never sent is read from the living process,
 * under the same fingerprint. The images of a session share a struct sym_store, which holds the
 * strings and tables (code objects of forked processes have the same), the bounds and the counts; it
 * outlives them all, and lets go of what only images that were freed had. One thread at a time.
 */
#ifndef PV_SYM_SYM_H
#define PV_SYM_SYM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi_event.h"
#include "profile/profile.h"
#include "py/layout.h"

#define SYM_NONE     UINT32_MAX
#define SYM_CODE_MAX (1u << 20) /* code objects held at once; beyond: [unknown], counted */

/* Bytes of distinct names and tables held at once, so that no target can fill our memory. */
#define SYM_BYTES_MAX (512ull << 20)
/* From so many bytes on those that nobody has any more are let go, whenever the rest has doubled. */
#define SYM_TRIM_MIN (4ull << 20)

struct sym_stats {
	uint64_t code_cnt;    /* code objects that were known, of all images so far */
	uint64_t from_ring;   /* of these, complete from the ring */
	uint64_t from_memory; /* of these, completed from the process */
	uint64_t stale;       /* another code object was there when it was to be read */
	uint64_t missing;     /* seen, and not known (yet): shown as [unknown function] */
	uint64_t refused;     /* over SYM_CODE_MAX or SYM_BYTES_MAX */
};

struct sym_store;
struct sym;

struct sym_store *sym_store__new(void); /* NULL and errno */
void sym_store__free(struct sym_store *store);
const struct sym_stats *sym_store__stats(const struct sym_store *store);
uint32_t sym_store__code_cnt(const struct sym_store *store); /* held now */
uint64_t sym_store__bytes(const struct sym_store *store);    /* held now */

struct sym *sym__new(struct sym_store *store); /* NULL and errno */
void sym__free(struct sym *sym);

/*
 * The dense id of the code object in @frame. New ones are empty until sym__learn() or sym__complete()
 * fill them. SYM_NONE: no memory, over the bound, or an unreadable frame, which has no code object.
 */
uint32_t sym__code(struct sym *sym, const struct pv_frame *frame);
/* Is anything (a name at least) known of it? */
bool sym__known(const struct sym *sym, uint32_t code);
/* Take in a symbol record of @size bytes. 0, -EPROTO (damaged), -ENOMEM. */
int sym__learn(struct sym *sym, const struct pv_symbol *symbol, size_t size);
/* Code objects that are unknown or incomplete: read them now from @pid, which must still run this
 * image. Cheap when there is nothing to do. @layout: the image's. 0 or negative errno. */
int sym__complete(struct sym *sym, pid_t pid, const struct pv_layout *layout);
/* Is there anything for sym__complete() to do? */
bool sym__wants(const struct sym *sym);

/*
 * The frame of @profile that (@code, @frame's instruction) is, for CPython @version. PROFILE_NONE
 * when the frame is none to be shown: an interpreter trampoline, the __init__ shim, a frame that
 * was pushed and has not started (CPython's _PyFrame_IsIncomplete). -> *err: 0 or -ENOMEM.
 */
uint32_t sym__frame(struct sym *sym, uint32_t code, uint16_t version, const struct pv_frame *frame,
                    struct profile *profile, int *err);

#endif
