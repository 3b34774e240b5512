package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// ports are the listeners of published ports: they take what no rule leads on,
// as docker-proxy does: connections to 127.0.0.1, from a container to its own
// port, and by IPv6 to a container without it.
type ports struct {
	mu   sync.Mutex
	open map[string]*published
}

// published is what is open for one container.
type published struct {
	ports  []snap.Port
	to     netip.Addr
	cancel context.CancelFunc
	open   []io.Closer
}

// stop closes the ports: they are free when it returns.
func (p *published) stop() {
	p.cancel()
	for _, c := range p.open {
		_ = c.Close() // there is nobody left to tell
	}
}

func newPorts() *ports { return &ports{open: map[string]*published{}} }

// serve opens the container's ports, unless they are open as they should be.
func (p *ports) serve(c *driver.Container, ep *snap.Endpoint) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := ep.IPv4.Addr()
	if !to.IsValid() {
		to = ep.IPv6.Addr()
	}
	if was := p.open[c.Ctr.ID]; was != nil {
		if was.to == to && slices.Equal(was.ports, c.Ctr.Ports) {
			return nil
		}
		was.stop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	now := &published{ports: slices.Clone(c.Ctr.Ports), to: to, cancel: cancel}
	p.open[c.Ctr.ID] = now
	var errs []error
	for _, x := range c.Ctr.Ports {
		l, err := forward(ctx, x, netip.AddrPortFrom(to, x.ContainerPort))
		if err != nil {
			errs = append(errs, fmt.Errorf("published port %d/%s of container %s: %w", x.HostPort, x.Proto, c.Ctr.Name, err))
		} else if l != nil {
			now.open = append(now.open, l)
		}
	}
	return errors.Join(errs...)
}

func (p *ports) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.open[id]; x != nil {
		x.stop()
		delete(p.open, id)
	}
}

func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.open {
		x.stop()
	}
}

// network is Go's word for a port's protocol and family.
func network(p snap.Port) string {
	if p.HostIP.Is4() {
		return string(p.Proto) + "4"
	}
	return string(p.Proto) + "6"
}

// forward listens on a port and hands on what comes; nil: there is nothing to
// listen on.
func forward(ctx context.Context, p snap.Port, to netip.AddrPort) (io.Closer, error) {
	at := netip.AddrPortFrom(p.HostIP, p.HostPort).String()
	lc := net.ListenConfig{}
	switch p.Proto {
	case snap.TCP:
		l, err := lc.Listen(ctx, network(p), at)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, nil // a host without IPv6
		}
		if err != nil {
			return nil, err
		}
		go accept(ctx, l, to)
		return l, nil
	case snap.UDP:
		pc, err := lc.ListenPacket(ctx, network(p), at)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		udp, ok := pc.(*net.UDPConn)
		if !ok {
			return nil, fmt.Errorf("a UDP socket is a %T", pc)
		}
		if err := tellDestination(udp, p.HostIP.Is6()); err != nil {
			return nil, errors.Join(err, udp.Close())
		}
		go relay(ctx, udp, to)
		return udp, nil
	}
	return nil, nil // SCTP goes by the rules alone
}

func accept(ctx context.Context, l net.Listener, to netip.AddrPort) {
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond) // out of descriptors; others may be closed meanwhile
			continue
		}
		go pipe(ctx, c, to)
	}
}

// dialWait is how long a container may take to take a connection.
const dialWait = 10 * time.Second

// pipe joins two connections, each direction until its end.
func pipe(ctx context.Context, c net.Conn, to netip.AddrPort) {
	defer c.Close()                    //nolint:errcheck // both ends are done
	d := net.Dialer{Timeout: dialWait} //nolint:forbidigo // dials an address
	out, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // the client is refused, as the proxy was
		}
		return
	}
	defer out.Close() //nolint:errcheck // both ends are done
	stop := context.AfterFunc(ctx, func() { _, _ = c.Close(), out.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		half(out, c)
		close(done)
	}()
	half(c, out)
	<-done
}

func half(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may break off
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}
