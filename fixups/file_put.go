package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// FilePut gives a file of one's own its contents, or makes it: a new file that
// is renamed over the old one, so that there is never half of one. A nil Content
// deletes it. fixups/apply writes nowhere but below its Root.
type FilePut struct {
	Path    string  `json:"path"`
	Content *string `json:"content"`
	// InPlace writes into the file that is there, since a container has it
	// mounted by inode.
	InPlace bool `json:"inPlace,omitempty"`
	// Open lets everybody read it.
	Open bool `json:"open,omitempty"`
	// Old is what is in it now, nil for no file; fixups/apply fills it in.
	Old *string `json:"old,omitempty"`
}

func (*FilePut) Kind() string  { return "file-put" }
func (*FilePut) Netns() string { return "" }

func (o *FilePut) Describe() string {
	if o.Content == nil {
		return "delete " + o.Path
	}
	return "write " + o.Path
}

func (o *FilePut) Shell() []string {
	if o.Content == nil {
		return []string{words("rm", "-f", o.Path)}
	}
	return []string{printInto(*o.Content, o.Path)}
}

// On changes nothing: a snapshot does not hold such files.
func (o *FilePut) On(*snap.Snapshot) error { return nil }

func (o *FilePut) Inverse(*snap.Snapshot) (Op, error) {
	if o.Content == nil && o.Old == nil {
		return nil, nil
	}
	return &FilePut{Path: o.Path, Content: o.Old, InPlace: o.InPlace, Open: o.Open, Old: o.Content}, nil
}

func (o *FilePut) Risk() Risk { return RiskLow }

// String names it in errors.
func (o *FilePut) String() string { return fmt.Sprintf("file %s", o.Path) }
