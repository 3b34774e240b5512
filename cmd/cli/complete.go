package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// completionTime bounds what a person waits for at a press of the tab key.
const completionTime = 300 * time.Millisecond

// complete gives live names for at most n arguments; n < 0 for any number.
func (s *session) complete(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, got []string, typed string) ([]string, cobra.ShellCompDirective) {
		const none = cobra.ShellCompDirectiveNoFileComp
		if n >= 0 && len(got) >= n && n > 1 {
			return nil, none
		}
		c, err := s.common()
		if err != nil {
			return nil, none
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		a := *s.env.App
		a.Note, a.Waiting = nil, nil
		done := make(chan []string, 1)
		go func() { done <- a.Complete(ctx, c, typed) }()
		select {
		case names := <-done:
			return names, none
		case <-ctx.Done():
			return nil, none
		}
	}
}
