//go:build !cgo

package bert

// Supported says whether this CPU has what the kernels need.
func Supported() bool { return false }

// Activation of the feed-forward layer.
type Activation int

const (
	GELU     Activation = iota // exact
	GELUTanh                   // its tanh approximation
	ReLU
)

// Linear is y = x Wᵀ + B: W [Out,In], B [Out].
type Linear struct {
	W, B    []float32
	Out, In int
}

// Norm is a layer norm's affine, [d] each.
type Norm struct{ Weight, Bias []float32 }

// Block is one layer. QKV is query, key and value in one.
type Block struct {
	QKV, Out, Up, Down Linear
	Attention, FFN     Norm
}

// Weights of an encoder.
type Weights struct {
	Hidden, Heads           int
	Activation              Activation
	Eps                     float32
	Words, Positions, Types []float32 // [·,d]
	Embeddings              Norm
	Blocks                  []Block
	Pooler                  *Linear // or nil
}

// Adapter is one folded adapter of the encoder's last Blocks blocks. What it does not have is nil.
type Adapter struct {
	Blocks, Bottleneck int
	Down, Up           []float32 // [Blocks,d,b] and [Blocks,b,d]
	DownBias, UpBias   []float32 // [Blocks,b] and [Blocks,d]
	Norm               []float32 // LN_b's affine, [Blocks,2,b]
	ReLU               bool      // else the identity
	Eps                float32   // LN_b's
}

// Batch is texts that lie one after another.
type Batch struct {
	IDs, Types []int32
	Lengths    []int32
	Owners     []int32
}

// Pooling says how the states of a text's tokens become one vector.
type Pooling int

const (
	Mean Pooling = iota
	First
	Pooler
)

// Model is packed weights.
type Model struct{}

func New(w Weights) (*Model, error) { return &Model{}, nil }

func (m *Model) Free() {}

func (m *Model) Embed(b Batch, adapters []Adapter, how Pooling, x []float32, taps []int32, pooled []float32) {
	panic("not yet")
}

func (m *Model) Stems(b Batch, from int, r []float32) { panic("not yet") }

func (m *Model) Upper(b Batch, from int, r []float32, adapters []Adapter, how Pooling, x []float32) {
	panic("not yet")
}

func (m *Model) Kernel() string { return "go" }
