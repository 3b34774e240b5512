package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// inside hands the command to this user's own host when --rootless asks for it.
func (s *session) inside(cmd *cobra.Command) error {
	if !s.g.rootless {
		return nil
	}
	if s.env.Rootless == nil {
		if s.env.Getenv("NETDOCTOR_ROOTLESS") != "" {
			return nil // it runs there
		}
		return fmt.Errorf("--rootless: %w", snap.ErrUnsupported)
	}
	// A host that nothing is set up on is not kept: it is there for what says so.
	begin := slices.Contains([]string{"setup", "ps", "teardown"}, cmd.Name())
	code, err := s.env.Rootless(cmd.Context(), s.env.Args, begin)
	if err != nil {
		return err
	}
	s.exit = code
	return errSilent
}
