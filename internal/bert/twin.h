// Vectors of LANES floats in plain C: the twin of avx2.h and avx512.h. Each operation rounds once, as theirs do, so the twins' results are theirs to the bit.

#include <math.h>
#include <string.h>

#define TARGET
#define UNROLL
#define INLINE static inline

typedef struct {
	float lane[LANES];
} vec;

#define LANE(value) \
	vec y; \
	for (int i = 0; i < LANES; i++) y.lane[i] = (value); \
	return y

INLINE vec all(float x) { LANE(x); }
INLINE vec load(const float *p) { LANE(p[i]); }
INLINE void store(float *p, vec v) { memcpy(p, v.lane, sizeof v.lane); }
INLINE vec load_part(const float *p, int n) { LANE(i < n ? p[i] : 0); } // n < LANES
INLINE void store_part(float *p, int n, vec v) { memcpy(p, v.lane, n * sizeof *p); }
INLINE vec keep(vec v, int n) { LANE(i < n ? v.lane[i] : 0); } // its first n lanes, else 0

INLINE vec add(vec a, vec b) { LANE(a.lane[i] + b.lane[i]); }
INLINE vec sub(vec a, vec b) { LANE(a.lane[i] - b.lane[i]); }
INLINE vec mul(vec a, vec b) { LANE(a.lane[i] * b.lane[i]); }
INLINE vec over(vec a, vec b) { LANE(a.lane[i] / b.lane[i]); }
INLINE vec madd(vec a, vec b, vec c) { LANE(fmaf(a.lane[i], b.lane[i], c.lane[i])); }   // ab + c
INLINE vec nmadd(vec a, vec b, vec c) { LANE(fmaf(-a.lane[i], b.lane[i], c.lane[i])); } // c − ab
INLINE vec least(vec a, vec b) { LANE(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); } // b where one of them is NaN
INLINE vec most(vec a, vec b) { LANE(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }  // the same
INLINE vec whole(vec v) { LANE(rintf(v.lane[i])); }
INLINE vec power(vec n) { LANE(n.lane[i] == n.lane[i] ? ldexpf(1, (int)n.lane[i]) : 0); } // 2ⁿ of a whole n, not NaN
INLINE vec size(vec v) { LANE(fabsf(v.lane[i])); }
INLINE vec flip(vec v) { LANE(-v.lane[i]); }
INLINE vec signed_as(vec v, vec s) { LANE(signbit(s.lane[i]) ? copysignf(v.lane[i], -1) : v.lane[i]); } // v with s's minus

// sum adds the upper half to the lower until one is left.
INLINE float sum(vec v) {
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++) v.lane[i] += v.lane[i + half];
	return v.lane[0];
}

INLINE float largest(vec v) {
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++) v.lane[i] = v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
	return v.lane[0];
}

INLINE float root(float x) { return sqrtf(x); }

INLINE void prefetch(const float *p) { (void)p; } // into L2
