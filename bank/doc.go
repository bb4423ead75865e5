// Package bank holds the N frozen adapters that profiles choose from. A bank never
// changes: a Digest names it, and profiles refer to that.
//
// Properties are what a bank is: its origin, N, L, d, b, the activation, LN_b on or off.
// A random bank is its Properties, seed included: Generate makes any adapter of it, the
// same bits everywhere. A warm bank is a File: memory-mapped, written once by Save out of
// trained adapters or of an Import from AdapterHub. A Bank is either of them in use: Fold
// makes a mask's model.Adapter. Directions of a head are a bank too, of internal/axes.
//
//	digest, err := bank.Save(ctx, dir, props, nil, rows) // dir/<digest>
//	f, err := bank.OpenFile(filepath.Join(dir, digest.String()))
//	if err != nil {
//		return err
//	}
//	b := bank.FromFile(f)
//	defer b.Close()
//	adapter, err := b.Fold(mask, nil)
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
// field. A change of any bit is found by OpenFile, by the first use of a row or by Verify.
package bank
