package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/sdk"
)

// Import puts a person of another folder into the fleet: bundle has one profile, id, as
// sdk.Folder.Export writes it with Examples. It replaces what the fleet has of the person.
func (n *Node) Import(ctx context.Context, id string, bundle []byte) error {
	_, err := n.ask(ctx, op{Kind: opImport, Profile: id, Bundle: bundle})
	return err
}

// ImportFolder puts all people of a folder into the fleet, and says how many were done. Called
// again it does all of them again.
func (n *Node) ImportFolder(ctx context.Context, from *sdk.Folder) (done int, err error) {
	for info, err := range from.Profiles(ctx, nil) {
		if err != nil {
			return done, err
		}
		var bundle bytes.Buffer
		_, err := from.Export(ctx, &bundle, &sdk.ExportOptions{IDs: []string{info.ID}, Examples: true, State: true})
		if err == nil {
			err = n.Import(ctx, info.ID, bundle.Bytes())
		}
		if err != nil {
			return done, fmt.Errorf("fleet: %q: %w", info.ID, err)
		}
		done++
	}
	return done, nil
}

// Backup writes this node's folder, with everybody whom the fleet knew when the node was last in
// step: sdk.Restore makes a folder of it, whose master key FolderKey returns.
func (n *Node) Backup(ctx context.Context, w io.Writer) (sdk.BackupReport, error) {
	if err := n.inStep(ctx); err != nil {
		return sdk.BackupReport{}, err
	}
	return n.folder.Backup(ctx, w, nil)
}

// FolderKey is the master key of the nodes' folders.
func FolderKey(secret []byte) ([]byte, error) {
	if len(secret) != keySize {
		return nil, configError([]string{fmt.Sprintf("a secret of %d bytes, want %d", len(secret), keySize)})
	}
	keys, err := newSecrets(secret)
	return keys.folder, err
}
