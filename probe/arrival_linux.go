package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// arrivalWait is how long a packet that came in may take to be answered: that is
// for a program of this host, not for the world.
const arrivalWait = 300 * time.Millisecond

// Arrive has a packet come in by a device as if its sender, beyond this host, had
// sent it, and says what became of it: "answered" means that an answer left by
// that device again. What tells is the Observer: without one this is an error.
//
// The frame is handed to the device's receiving side by a program that the kernel
// runs once (BPF_PROG_TEST_RUN, bpf_clone_redirect): no device, rule or socket is
// made, and nothing goes out to the wire but the host's own answer.
func (p *Prober) Arrive(ctx context.Context, q Question) (out snap.Probe) {
	r := begin(q.Kind, q.From, q.Dst, q.Options)
	if q.Kind == "dns" {
		r.DNS = nil
	}
	r.In = q.Device
	port := q.Sport
	if port == 0 {
		port = uint16(FirstPort + rand.IntN(Ports)) //nolint:gosec // no secret
	}
	r.Src = netip.AddrPortFrom(q.Src, 0)
	if q.Kind != "icmp" {
		r.Src = netip.AddrPortFrom(q.Src, port)
	}
	f := p.follow(Identity{From: q.From, ICMP: q.Kind == "icmp", ID: port, Dst: q.Dst, Arrives: true})
	if f == nil {
		return fail(r, fmt.Errorf("a packet that comes in by %s: nobody would see what becomes of it: %w", q.Device, snap.ErrUnsupported))
	}
	err := p.arrive(q, port, false)
	if err == nil {
		t := time.NewTimer(min(p.timeout(q.Options), arrivalWait))
		select {
		case <-t.C:
		case <-f.Dead().Done():
		case <-ctx.Done():
		}
		t.Stop()
	}
	r.Outcome, r.Sent = snap.TimedOut, 1
	f.End(&r)
	if err != nil {
		r.Sent = 0
		return fail(r, err)
	}
	r = arrived(r)
	if q.Kind == "tcp" && r.Outcome == snap.Answered {
		if err := p.arrive(q, port, true); err != nil { // else the half-open connection ends by its own timer
			r.Detail = "its reset did not come in: " + err.Error()
		}
	}
	return r
}

// arrived judges by what was seen to leave by the device again.
func arrived(r snap.Probe) snap.Probe {
	i := slices.IndexFunc(r.Seen, func(s snap.Seen) bool {
		return s.Answer && s.What == snap.SeenTransmit && s.Netns == r.From && s.Device == r.In
	})
	if i < 0 {
		return r
	}
	s := &r.Seen[i]
	r.Got, r.RTTMs = 1, s.AfterMs
	r.Died = nil // what becomes of the answer out there is not asked, but where the question ended
	for k := range r.Seen {
		if x := r.Seen[k]; x.What == snap.SeenDrop && !x.Answer && x.ICMP == nil {
			r.Died = &x
		}
	}
	filtered := r.Died != nil && r.Died.Reason == "NETFILTER_DROP"
	switch {
	case s.ICMP != nil && s.ICMP.Code == 3 && s.ICMP.Type == 3 && !filtered, s.ICMP != nil && s.ICMP.Type == 1 && s.ICMP.Code == 4 && !filtered:
		r.Outcome = snap.Refused // port unreachable, RFC 792 and RFC 4443
	case s.ICMP != nil:
		r.Outcome, r.ICMP, r.By = snap.Rejected, s.ICMP, s.Src.Addr()
	case s.RST && filtered:
		r.Outcome, r.Detail = snap.Rejected, "reset by the firewall of "+r.Died.Netns
	case s.RST:
		r.Outcome = snap.Refused
	default:
		r.Outcome, r.Died = snap.Answered, nil
		r.Detail = fmt.Sprintf("it came in by %s, and the answer left by it", r.In)
	}
	return r
}

// arrive hands one frame to the device.
func (p *Prober) arrive(q Question, port uint16, rst bool) error {
	dev := q.From.Link(q.Device)
	if dev == nil {
		return fmt.Errorf("device %s of %s: %w", q.Device, q.From.ID, snap.ErrNotFound)
	}
	b, ok := frame(&q, dev, port, rst)
	if !ok {
		return fmt.Errorf("a packet of kind %s from %s that comes in by %s: %w", q.Kind, q.Src, q.Device, snap.ErrUnsupported)
	}
	h, err := open(q.From)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only entered
	return receive(h, dev.Index, b)
}

// receive has a device of a namespace receive a frame (net/bpf/test_run.c:
// bpf_prog_test_run_skb; net/core/filter.c:bpf_clone_redirect).
func receive(h *ns.Handle, index int, b []byte) error {
	const ingress = 1 // BPF_F_INGRESS
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "nd_arrive", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, int32(index)),
			asm.Mov.Imm(asm.R3, ingress), asm.FnCloneRedirect.Call(), asm.Return(),
		},
	})
	if err == nil {
		defer prog.Close() //nolint:errcheck // it has run
		err = h.Do(func() error {
			got, err := prog.Run(&ebpf.RunOptions{Data: b})
			if err == nil && got != 0 {
				err = unix.Errno(-int32(got))
			}
			return err
		})
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return snap.As(snap.ErrPermission, "having a packet come in", err)
	case err != nil:
		return fmt.Errorf("having a packet come in: %w", err)
	}
	return nil
}
