// Package keyring is the file of keys of an encrypted store.
//
// A [Ring] has a key for each profile, by its number, wrapped by the caller's master key. To
// erase a key, which is to make all that is encrypted under it unreadable, is to overwrite its
// slot. docs/format.md draws the file.
//
//	id, err := keyring.Create("xpeft.keys", master)
//	ring, err := keyring.Open("xpeft.keys", id, master, false, false)
//	slot, aead, err := ring.NewSlot(7)
//	err = ring.Write(map[uint32][]byte{7: slot})
//	err = ring.Erase([]uint32{7})
//
// # Concurrency
//
// A Ring is safe for concurrent use, except that only one goroutine may write.
package keyring
