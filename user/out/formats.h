/* SPDX-License-Identifier: Apache-2.0 */
/* formats.h - the rows of out_formats[], one in each format's file. */
#ifndef PV_OUT_FORMATS_H
#define PV_OUT_FORMATS_H

#include "out/out.h"

extern const struct out_format out_flame_svg;
extern const struct out_format out_speedscope;
extern const struct out_format out_pprof;
extern const struct out_format out_folded;

#endif
