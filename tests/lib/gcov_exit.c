/* SPDX-License-Identifier: ISC */
/* gcov_exit.c - what was counted is written down also by a process that ends by _exit(2). */

extern void __gcov_dump(void);
extern _Noreturn void __real__exit(int status);
extern _Noreturn void __wrap__exit(int status);

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
