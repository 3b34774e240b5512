package apply

// hostKey tells host namespaces of one boot apart. Inodes of namespaces are given
// out again when they are free (fs/proc/generic.c: proc_alloc_inum), cookies
// never are (net/core/net_namespace.c: net_gen_cookie); Linux before 5.14 has none.
type hostKey struct {
	inode  uint64
	cookie uint64 // 0: not known
}

// made says whether an entry of this boot was made for that namespace.
func (k hostKey) made(e *entry) bool {
	return e.Host == k.inode && (e.Cookie == 0 || k.cookie == 0 || e.Cookie == k.cookie)
}

// elsewhere says whether an entry is of this boot, and of another host namespace.
func (k hostKey) elsewhere(e *entry) bool { return e.Boot == bootID() && !k.made(e) }
