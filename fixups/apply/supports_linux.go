package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Supports says whether this kernel can make devices of a kind: it is asked for
// one in a namespace that is thrown away. Missing kinds are snap.ErrUnsupported,
// with the kernel option that brings them.
func Supports(ctx context.Context, deviceKind string) error {
	h, err := ns.New()
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	c, err := dial(h, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	body := attrs(ifinfo(unix.AF_UNSPEC, 0, 0, 0))
	body.str(unix.IFLA_IFNAME, "ndprobe0")
	body.nested(unix.IFLA_LINKINFO, func(x *attrs) { x.str(unix.IFLA_INFO_KIND, deviceKind) })
	err = c.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
	if errors.Is(err, unix.EOPNOTSUPP) { // rtnetlink.c: no rtnl_link_ops of that kind, and no module
		option := map[string]string{"bridge": "BRIDGE"}[deviceKind]
		if option == "" {
			option = strings.ToUpper(deviceKind)
		}
		return snap.Hint(fmt.Errorf("this kernel has no %s devices: %w", deviceKind, snap.ErrUnsupported), "a kernel with CONFIG_"+option+", or its module "+deviceKind)
	}
	return ctx.Err() // any other answer: it knows the kind, and wants more to be said
}
