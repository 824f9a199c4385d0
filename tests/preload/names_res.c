/* SPDX-License-Identifier: ISC */
/* names_res.c - the resolver(3) library. */
#include "names.h"

void names_res(void)
{
}
