// Package bank holds the N frozen adapters that profiles choose from. A bank never
// changes: a Digest names it, and profiles refer to that.
//
// Properties are what a bank is: its origin, N, L, d, b, the activation, LN_b on or off.
// A random bank is its Properties, seed included: Generate makes any adapter of it, the
// same bits everywhere. A warm bank is a File: memory-mapped, written once by Save out of
// trained adapters or of an Import from AdapterHub. A Bank is either of them in use: Fold
// makes a mask's model.Adapter. Axes are a bank too, of directions of a head in place of
// adapters; EncoderAxes makes them. So are Joint axes, on which a population's people differ.
//
//	digest, err := bank.Save(ctx, dir, props, nil, rows) // dir/<digest>
//	f, err := bank.OpenFile(filepath.Join(dir, digest.String()))
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	err = f.CheckRow(bank.Down, block, adapter) // before its first use
//	weights := f.Region(bank.Down, block)       // [N, d·b], a view
//
// # Concurrency
//
// All types are safe for concurrent use, but Import, whose Close must be alone. Views into
// a File are invalid after its Close.
//
// # Format
//
//	+--------------+--------------+-------------+-----------------+----------------------+
//	| header       | region table | affine      | checksums       | L blocks, each:      |
//	| 128 bytes    | 16 bytes a   | [L][2][b]   | [L][2][N]       | Down [N,d,b], Up     |
//	| CRC, digest, | region       | float32     | CRC-32C a row   | [N,b,d], their biases|
//	| properties   |              |             |                 | [N,b], [N,d] if any  |
//	+--------------+--------------+-------------+-----------------+----------------------+
//
// Little-endian; every region begins at a multiple of 64 bytes; docs/format.md has each
// field. A change of any bit is found by OpenFile, CheckRow or Verify. A file of axes is
// small, and read whole: a header of 80 bytes, means and scales, the axes in float16. So is
// one of joint axes: a header of 100 bytes, labels, ranges and digits, the axes in float16.
package bank
