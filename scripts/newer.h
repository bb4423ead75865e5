// What gotch v0.9.1 calls as libtorch 2.1 had it and as newer ones do not. setup-torch.sh puts this
// file beside the linker stubs, and torch.sh has it included before gotch's code. xpeft calls none
// of the three.
#pragma once
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <torch/torch.h>

namespace at {
inline Tensor _cslt_sparse_mm(const Tensor &, const Tensor &, const Tensor &, bool) {
	TORCH_CHECK(false, "not in this libtorch");
}
inline std::tuple<Tensor, Tensor> _scaled_mm(const Tensor &, const Tensor &, const Tensor &, std::optional<ScalarType>,
	const Tensor &, const Tensor &, const Tensor &) {
	TORCH_CHECK(false, "not in this libtorch");
}
inline std::tuple<Tensor, Tensor> _scaled_mm_out(const Tensor &, const Tensor &, const Tensor &, const Tensor &,
	const Tensor &, std::optional<ScalarType>, const Tensor &, const Tensor &, const Tensor &) {
	TORCH_CHECK(false, "not in this libtorch");
}
} // namespace at
