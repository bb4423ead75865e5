package fleet

import bolt "go.etcd.io/bbolt"

// fold remembers that a profile in the folder may be ahead of the fleet, until unfold: after a
// crash it is made what the fleet says. It says whether it was so already.
func (s *state) fold(name, id string) (half bool, err error) {
	err = s.db.Batch(func(tx *bolt.Tx) error {
		b := tx.Bucket(bktFolding)
		if half = b.Get([]byte(name)) != nil; half && id == "" {
			return nil
		}
		return b.Put([]byte(name), seal(s.key, []byte(id), name))
	})
	return half, err
}

// refuse remembers a profile whose value this version cannot read, to be tried at the next Open.
func (s *state) refuse(name string) error {
	_, err := s.fold(name, "")
	return err
}

// foldingID is the id of a profile that may be ahead of the fleet, else "".
func (s *state) foldingID(name string) (id string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		sealed := tx.Bucket(bktFolding).Get([]byte(name))
		if sealed == nil {
			return nil
		}
		plain, err := unseal(s.key, sealed, name)
		id = string(plain)
		return err
	})
	return id, err
}

func (s *state) unfold(name string) error {
	return s.db.Batch(func(tx *bolt.Tx) error {
		return tx.Bucket(bktFolding).Delete([]byte(name))
	})
}

// folding lists the profiles that a crash left ahead of the fleet.
func (s *state) folding() (names []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bktFolding).ForEach(func(k, _ []byte) error { names = append(names, string(k)); return nil })
	})
	return names, err
}
