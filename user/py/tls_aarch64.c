// SPDX-License-Identifier: Apache-2.0
/*
 * Functions of aarch64 that return a thread-local variable, read by following what their instructions
 * leave in the registers: compilers choose registers and order as they like. The ways to a variable are
 * those of the ABI (System V ABI for the Arm 64-bit Architecture, "Thread Local Storage"): local exec,
 * initial exec and descriptors.
 */
#include <errno.h>
#include <string.h>

#include "py/tls.h"

/* What a register holds. */
enum a64_kind {
	A64_UNKNOWN = 0,
	A64_ADDRESS,   /* value: an address of the file */
	A64_LOADED,    /* the word at the address value */
	A64_RETURNED,  /* what the descriptor at the address value says: an offset */
	A64_TP,        /* the thread pointer + value */
	A64_TP_LOADED, /* the thread pointer + A64_LOADED */
	A64_TP_RETURNED,
	A64_VARIABLE, /* what is at A64_TP */
	A64_VARIABLE_LOADED,
	A64_VARIABLE_RETURNED,
};

struct a64_reg {
	enum a64_kind kind;
	uint64_t value;
};

#define A64_REG_CNT 32 /* [31], sp or zero, is never known */
#define A64_RD(i)   ((i)&31)
#define A64_RN(i)   ((i) >> 5 & 31)
#define A64_RM(i)   ((i) >> 16 & 31)
#define A64_IMM(i)  ((i) >> 10 & 0xfff)

static bool a64_is(uint32_t insn, uint32_t mask, uint32_t bits)
{
	return (insn & mask) == bits;
}

/* What neither reads nor writes a register that matters. */
static bool a64_frame(uint32_t insn)
{
	return a64_is(insn, 0xfffff01f, 0xd503201f) || /* hints: nop, bti, paciasp, autiasp */
	       a64_is(insn, 0xffc07fff, 0xa9807bfd) || /* stp x29, x30, [sp, #imm]! */
	       a64_is(insn, 0xffc07fff, 0xa8c07bfd) || /* ldp x29, x30, [sp], #imm */
	       insn == 0x910003fd;                     /* mov x29, sp */
}

static struct a64_reg a64_add(struct a64_reg a, struct a64_reg b)
{
	struct a64_reg tp = a.kind == A64_TP ? a : b, other = a.kind == A64_TP ? b : a;

	if (tp.kind != A64_TP || tp.value)
		return (struct a64_reg){ 0 };
	if (other.kind == A64_LOADED)
		return (struct a64_reg){ A64_TP_LOADED, other.value };
	if (other.kind == A64_RETURNED)
		return (struct a64_reg){ A64_TP_RETURNED, other.value };
	return (struct a64_reg){ 0 };
}

static struct a64_reg a64_load(struct a64_reg from, uint64_t imm)
{
	switch (from.kind) {
	case A64_ADDRESS:
		return (struct a64_reg){ A64_LOADED, from.value + imm };
	case A64_TP:
		return (struct a64_reg){ A64_VARIABLE, from.value + imm };
	case A64_TP_LOADED:
		return (struct a64_reg){ imm ? A64_UNKNOWN : A64_VARIABLE_LOADED, from.value };
	case A64_TP_RETURNED:
		return (struct a64_reg){ imm ? A64_UNKNOWN : A64_VARIABLE_RETURNED, from.value };
	default:
		return (struct a64_reg){ 0 };
	}
}

static uint64_t a64_page(uint32_t insn, uint64_t pc)
{
	uint64_t imm = (uint64_t)(insn >> 5 & 0x7ffff) << 2 | (insn >> 29 & 3);

	imm = (imm ^ 1u << 20) - (1u << 20); /* 21 bits with a sign */
	return (pc & ~0xfffull) + (imm << 12);
}

/* False: an instruction that such functions have not. */
static bool a64_step(struct a64_reg *reg, uint32_t insn, uint64_t pc)
{
	struct a64_reg *rd = &reg[A64_RD(insn)], rn = reg[A64_RN(insn)], rm = reg[A64_RM(insn)];

	if (a64_frame(insn))
		return true;
	if (a64_is(insn, 0xfffffc1f,
	           0xd63f0000)) { /* blr: a descriptor's keeps all registers but x0 */
		bool known = rn.kind == A64_LOADED && reg[0].kind == A64_ADDRESS &&
		             reg[0].value == rn.value;

		reg[0].kind = A64_RETURNED;
		return known;
	}
	if (a64_is(insn, 0xffffffe0, 0xd53bd040)) { /* mrs, tpidr_el0 */
		*rd = (struct a64_reg){ A64_TP, 0 };
	} else if (a64_is(insn, 0x9f000000, 0x90000000)) { /* adrp */
		*rd = (struct a64_reg){ A64_ADDRESS, a64_page(insn, pc) };
	} else if (a64_is(insn, 0xff800000, 0x91000000)) { /* add, #imm */
		rn.value += (uint64_t)A64_IMM(insn) << (insn >> 22 & 1 ? 12 : 0);
		*rd = rn;
		rd->kind = rn.kind == A64_ADDRESS || rn.kind == A64_TP ? rn.kind : A64_UNKNOWN;
	} else if (a64_is(insn, 0xffe0fc00, 0x8b000000)) { /* add */
		*rd = a64_add(rn, rm);
	} else if (a64_is(insn, 0xffc00000, 0xf9400000)) { /* ldr, [#imm * 8] */
		*rd = a64_load(rn, A64_IMM(insn) * 8);
	} else if (a64_is(insn, 0xffe0fc00, 0xf8606800)) { /* ldr, [Xn, Xm] */
		*rd = a64_load(a64_add(rn, rm), 0);
	} else {
		return false;
	}
	return rd->kind != A64_UNKNOWN && rd != &reg[A64_REG_CNT - 1];
}

static int a64_recipe(const struct a64_reg *result, struct py_tls_recipe *recipe)
{
	if (result->kind == A64_VARIABLE)
		*recipe = (struct py_tls_recipe){ .form = PY_TLS_STATIC,
			                          .off = (int64_t)result->value };
	else if (result->kind == A64_VARIABLE_LOADED)
		*recipe =
			(struct py_tls_recipe){ .form = PY_TLS_STATIC_SLOT, .slot = result->value };
	else if (result->kind == A64_VARIABLE_RETURNED)
		*recipe =
			(struct py_tls_recipe){ .form = PY_TLS_DESCRIPTOR, .slot = result->value };
	else
		return -ENOENT;
	return 0;
}

int py_tls_decode_aarch64(const uint8_t *bytes, size_t len, uint64_t vaddr,
                          struct py_tls_recipe *recipe)
{
	struct a64_reg reg[A64_REG_CNT] = { 0 };
	uint32_t insn;

	*recipe = (struct py_tls_recipe){ 0 };
	for (size_t i = 0; i + sizeof(insn) <= len; i += sizeof(insn)) {
		memcpy(&insn, bytes + i, sizeof(insn));
		if (insn == 0xd65f03c0) /* ret */
			return a64_recipe(&reg[0], recipe);
		if (!a64_step(reg, insn, vaddr + i))
			break;
	}
	return -ENOENT;
}
