//go:build cgo && amd64

#define PATH bert_avx512

#include "avx512.h"
#include "forward.c"

int bert_has_avx512(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f"); }

int bert_has_vnni(void) { return __builtin_cpu_supports("avx512vnni"); }
