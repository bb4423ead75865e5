//go:build cgo && amd64

#define PATH bert_avx2

#include "avx2.h"
#include "forward.c"

int bert_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

int bert_shares(void) {
#ifdef __linux__
	return 1;
#else
	return 0;
#endif
}
