//go:build cgo && amd64

#include "bert.h"

#if defined __linux__ && (defined __clang__ ? __clang_major__ >= 12 : __GNUC__ >= 11) // else assemblers may not know it

#define PATH bert_amx

#include "avx512.h"
#include "amx.h"
#include "forward.c"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// The system saves tiles only of programs that asked: it needs larger frames for signals.
static int permitted(void) {
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

int bert_has_amx(void) {
	enum { TILE_STATE = 3 << 17, BF16 = 1 << 22, TILE = 1 << 24, INT8 = 1 << 25, VECTORS_BF16 = 1 << 5, OSXSAVE = 1 << 27 };
	unsigned a, b, c, d, state, high;
	if (!bert_has_avx512() || !bert_has_vnni() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
	if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & VECTORS_BF16)) return 0;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (~d & (BF16 | TILE | INT8))) return 0;
	__asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
	return (~state & TILE_STATE) == 0 && permitted();
}

#else

const bert_path bert_amx = {0};

int bert_has_amx(void) { return 0; }

#endif
