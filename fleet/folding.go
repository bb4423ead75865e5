package fleet

import bolt "go.etcd.io/bbolt"

var bktFolding = []byte("folding")

// fold remembers that a profile in the folder may be ahead of the fleet, until unfold: after a
// crash it is made what the fleet says. It says whether it was so already.
func (s *state) fold(name, id string) (half bool, err error) {
	err = s.db.Batch(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bktFolding)
		if err != nil {
			return err
		}
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
		b := tx.Bucket(bktFolding)
		if b == nil || b.Get([]byte(name)) == nil {
			return nil
		}
		plain, err := unseal(s.key, b.Get([]byte(name)), name)
		id = string(plain)
		return err
	})
	return id, err
}

func (s *state) unfold(name string) error {
	return s.db.Batch(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bktFolding); b != nil && b.Get([]byte(name)) != nil {
			return b.Delete([]byte(name))
		}
		return nil
	})
}

// folding lists the profiles that a crash left ahead of the fleet.
func (s *state) folding() (names []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bktFolding)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, _ []byte) error { names = append(names, string(k)); return nil })
	})
	return names, err
}
