/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * symbols.bpf.h - send a code object's names and line table the first time it is met.
 *
 * "First time" is per CPU: a small set-associative table of what this CPU has sent, replaced in
 * place. Sending twice costs time and nothing else; user space knows what it has.
 */
#ifndef PV_SYMBOLS_BPF_H
#define PV_SYMBOLS_BPF_H

#include "bpf/abi_event.h"
#include "bpf/pystack.bpf.h"

/* Was code object (@code, @fp) sent by this CPU? If not, note it in @walk if there is room. */
bool symbols_note(struct pv_walk *walk, __u64 code, __u32 fp);
/* Send number @index of what was noted. @proc: whose code objects they are. */
void symbols_send(struct pv_walk *walk, const struct pv_layout *layout, const struct pv_proc *proc,
                  __u32 index);

#endif
