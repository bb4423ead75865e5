// Vectors of eight floats, on AVX2 and FMA. twin.h says what each operation is.

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma")))
#define UNROLL _Pragma("GCC unroll 16")
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 8, ROWS = 6 };

typedef __m256 vec;

static const int32_t lanes_left[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

INLINE __m256i lanes(int n) { return _mm256_loadu_si256((const __m256i *)(lanes_left + 8 - n)); }

INLINE vec all(float x) { return _mm256_set1_ps(x); }
INLINE vec load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void store(float *p, vec v) { _mm256_storeu_ps(p, v); }
INLINE vec load_part(const float *p, int n) { return _mm256_maskload_ps(p, lanes(n)); }
INLINE void store_part(float *p, int n, vec v) { _mm256_maskstore_ps(p, lanes(n), v); }
INLINE vec keep(vec v, int n) { return _mm256_and_ps(v, _mm256_castsi256_ps(lanes(n))); }

INLINE vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec over(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec madd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec nmadd(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vec least(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec most(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec whole(vec v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vec power(vec n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)); }
INLINE vec size(vec v) { return _mm256_andnot_ps(all(-0.f), v); }
INLINE vec flip(vec v) { return _mm256_xor_ps(all(-0.f), v); }
INLINE vec signed_as(vec v, vec s) { return _mm256_or_ps(v, _mm256_and_ps(all(-0.f), s)); }

INLINE float sum(vec v) {
	__m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	x = _mm_add_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

INLINE float largest(vec v) {
	__m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
	x = _mm_max_ps(x, _mm_movehl_ps(x, x));
	return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

INLINE float root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

INLINE void prefetch(const float *p) { _mm_prefetch((const char *)p, _MM_HINT_T1); }
