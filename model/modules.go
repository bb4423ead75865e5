package model

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// module is an entry of modules.json, sentence-transformers' list of what a text passes through.
type module struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Type string `json:"type"`
}

// kind is the class of sentence-transformers, "" if it is none of theirs.
func (m module) kind() string {
	if !strings.HasPrefix(m.Type, "sentence_transformers.") {
		return ""
	}
	return m.Type[strings.LastIndexByte(m.Type, '.')+1:]
}

func (m module) String() string { return fmt.Sprintf("module %q of type %s", m.Name, m.Type) }

// readModules returns the pooling of a folder, 0 if it says nothing about it. With a modules.json
// the folder is what that lists: the transformer in the folder itself, a pooling, and perhaps
// Normalize, which is left out here: the heads take vectors of any length. Any other module would
// change the vectors, so it is ErrUnsupported.
func readModules(dir fs.FS, hidden int) (Pooling, error) {
	const name = "modules.json"
	b, err := readOptional(dir, name, maxConfigFile)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if b == nil {
		return readPooling(dir, "1_Pooling", hidden)
	}
	var modules []module
	if err := json.Unmarshal(b, &modules); err != nil {
		return 0, checkpointf("%s: %v", name, err)
	}
	for i, m := range modules {
		if i > 2 || m.kind() != []string{"Transformer", "Pooling", "Normalize"}[i] {
			return 0, unsupportedf("%s: %v in place %d, want Transformer, Pooling and perhaps Normalize, in "+
				"this order", name, m, i)
		}
	}
	switch {
	case len(modules) < 2:
		return 0, unsupportedf("%s: %d modules, want Transformer and Pooling", name, len(modules))
	case modules[0].Path != "" && modules[0].Path != ".":
		return 0, unsupportedf("%s: %v has the path %q, want the folder itself", name, modules[0], modules[0].Path)
	case !filepath.IsLocal(modules[1].Path):
		return 0, checkpointf("%s: %v has the path %q, want a folder beside it", name, modules[1], modules[1].Path)
	}
	pooling, err := readPooling(dir, modules[1].Path, hidden)
	if err == nil && pooling == 0 {
		err = checkpointf("%s: %v has no %s", name, modules[1], path.Join(modules[1].Path, "config.json"))
	}
	return pooling, err
}
