package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

func (s *session) trace() *cobra.Command {
	var batch, standIn, rules, inject bool
	var whatIf []string
	var size int
	var sport uint16
	cmd := &cobra.Command{
		Use:     "trace SRC [DST]",
		GroupID: groupFind,
		Short:   "Walk one path hop by hop, there and back",
		Long: `Walk the path of one packet and of the answer to it: predicted from the real
state of the kernel, then proved with a real packet unless --no-probe says
otherwise. SRC alone walks to its gateway, the way out, its resolvers and its
published ports. How to write SRC and DST: netdoctor help targets.

With --batch the flows are JSON lines on stdin, such as
{"from":"web","to":"10.0.0.5:53/udp"}, and one result a line comes out, in the
same order, over one snapshot of the host, proved unless --no-probe says otherwise.
A line that is no flow is answered "unknown", with the reason, and the exit code is 2.

With --what-if a change is made on the model first, written as it would be typed
(exactly one command; given again for more), and what else on this host it would
open or close is said; nothing is sent and nothing is changed. Read are
ip link|addr|route|rule|neigh, sysctl -w, iptables and ip6tables, nft add, insert
and delete rule, bridge link set, and the lines that fix --dry-run prints.

With --trace-rules the kernel itself names each firewall rule that a packet of
this flow meets, nftables' and both iptables': for that moment a table of nftables
is added in each namespace on the way, for the packets of one source port alone,
and with legacy tables the logger (net.netfilter.nf_log) is another. It is taken
away again; after kill -9 by the next run, or by netdoctor undo.

With the snapshots of several hosts, --snapshot a.ndsnap --snapshot b.ndsnap, the
packet is followed from one host to another, routed or through VXLAN. Everything
is called HOST/NAME then, by the name of its host's file. What lies between the hosts
was not read, and is assumed to carry every packet.

A sender beyond this host can't be made to send. With --inject its packet comes in
by the device that leads to it, as if it had sent it; the answer goes to its
address. That forges a source: use it where you may.`,
		Example: `  netdoctor trace web db:5432
  netdoctor trace 203.0.113.7 host:8080
  netdoctor trace web
  netdoctor trace one/web two/db:5432 --snapshot one.ndsnap --snapshot two.ndsnap
  netdoctor trace web db:5432 --what-if "iptables -I FORWARD -i br-app -j ACCEPT"
  netdoctor trace --batch -o json < flows.jsonl`,
		Args: func(cmd *cobra.Command, got []string) error {
			if batch {
				return args(0, 0, "")(cmd, got)
			}
			return args(1, 2, "a source, and mostly a destination")(cmd, got)
		},
		ValidArgsFunction: s.complete(2),
		RunE: func(cmd *cobra.Command, got []string) error {
			s.several = len(got) == 2 && !batch && len(whatIf) == 0
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			a := s.use()
			c.TraceRules, c.Inject = rules, inject
			// What each of these does takes one flow, and a packet or none.
			one, sends := !batch && len(got) == 2, !s.g.noProbe && s.g.snapshot == ""
			switch {
			case rules && !(one && sends):
				return app.Usagef("--trace-rules is for one flow, and sends a packet")
			case inject && !(one && sends):
				return app.Usagef("--inject is for one flow, and has a packet come in")
			case len(whatIf) > 0 && (!one || rules || inject || standIn):
				return app.Usagef("--what-if is for one flow, and sends nothing")
			case batch:
				return s.batch(cmd.Context(), a, c)
			case size < 0 || size > 65000:
				return app.Usagef("--size %d is out of range", size)
			case standIn && !one:
				return app.Usagef("--stand-in needs a destination")
			}
			o := app.TraceOptions{Common: c, From: got[0], Size: size, Sport: sport, StandIn: standIn, WhatIf: whatIf}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) {
				if len(got) == 1 {
					return result(a.TraceAll(ctx, o))
				}
				o.To = got[1]
				return result(a.Trace(ctx, o))
			})
		},
	}
	cmd.Flags().BoolVar(&batch, "batch", false, "read flows as JSON lines from stdin")
	cmd.Flags().BoolVar(&standIn, "stand-in", false, "answer in the application's place: is it at fault, or the network?")
	cmd.Flags().StringArrayVar(&whatIf, "what-if", nil, "follow the flow as if this `change`, a line of shell, had been made")
	cmd.Flags().BoolVar(&rules, "trace-rules", false, "have the kernel name each rule on the way; adds a table for a moment")
	cmd.Flags().BoolVar(&inject, "inject", false, "have the packet of a sender beyond this host come in, as if it had sent it")
	cmd.Flags().IntVar(&size, "size", 0, "payload in `BYTES`")
	cmd.Flags().Uint16Var(&sport, "sport", 0, "source `PORT` (default any)")
	return cmd
}

// batch writes one result a line as they come. It ends with the worst code; lines
// that are no flow are wrong usage, whatever the others say.
func (s *session) batch(ctx context.Context, a *app.App, c app.Common) error {
	_, err := s.reading(ctx, func(ctx context.Context) (v1.Result, error) {
		return nil, a.TraceBatch(ctx, c, s.env.Stdin, func(r *v1.TraceResult) error {
			switch code := exitOfResult(r, diag.Severity(s.g.failOn)); {
			case code == exitProblem, code == exitUnknown && s.exit == exitOK:
				s.exit = code
			}
			return render.Write(s.env.Stdout, r, "ndjson", render.Style{})
		})
	})
	return err
}
