package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// reportPage is a page with n containers on n/50+2 networks; web and db of the
// trace are among them.
func reportPage(n int) *v1.Page {
	check := *results()["check"].(*v1.CheckResult) //nolint:forcetypeassert // the map says so
	trace := *results()["trace"].(*v1.TraceResult) //nolint:forcetypeassert // the map says so
	dns := *results()["dns"].(*v1.DNSResult)       //nolint:forcetypeassert // the map says so
	check.Summary.Containers = n
	p := &v1.Page{Check: check, Traces: []v1.TraceResult{trace}, Names: []v1.DNSResult{dns}, Left: []string{"3 more firewall rules"}, Map: *mapResult(n)}
	t := v1.RuleTable{Netns: "host", System: "iptables-nft", Family: "ipv4", Name: "filter"}
	c := v1.RuleChain{Name: "DOCKER-ISOLATION-STAGE-1"}
	for i := range 2 + n/10 {
		c.Rules = append(c.Rules, v1.RuleLine{Num: i + 1, Text: fmt.Sprintf("-A DOCKER-ISOLATION-STAGE-1 -i br-net%d -j RETURN", i), Packets: int64(i * 1000), Bytes: int64(i * 60000)})
	}
	c.Rules[1].Text, c.Rules[1].Decides = "-A DOCKER-ISOLATION-STAGE-1 -o br-data -j DROP", []string{"ND3210", "path"}
	t.Chains = []v1.RuleChain{{Name: "FORWARD", Hook: "forward", Policy: "drop"}, c}
	p.Tables = []v1.RuleTable{t}
	return p
}

// mapResult is the map of it.
func mapResult(n int) *v1.MapResult {
	m := &v1.MapResult{Head: head(v1.KindMap)}
	add := func(node v1.MapNode) { m.Nodes = append(m.Nodes, node) }
	add(v1.MapNode{ID: "internet", Kind: "internet", Name: "internet"})
	add(v1.MapNode{ID: "host", Kind: "host", On: "internet", Name: "host", Netns: "host"})
	add(v1.MapNode{ID: "uplink:eth0", Kind: "uplink", On: "internet", Name: "eth0", Netns: "host", Device: "eth0", State: "up", Addresses: []string{"192.0.2.10/24"}})
	nets := n/50 + 2
	for k := range nets {
		name := fmt.Sprintf("net%d", k)
		if k < 2 {
			name = []string{"app", "data"}[k]
		}
		id := "network:docker:" + name
		add(v1.MapNode{ID: id, Kind: "network", On: "host", Name: name, Device: "br-" + name, State: "bridge", Addresses: []string{fmt.Sprintf("172.%d.0.0/16", 20+k)}})
		for i := k; i < n; i += nets {
			c := v1.MapNode{ID: fmt.Sprintf("container:docker:c%d@%s", i, id), Kind: "container", On: id, Name: fmt.Sprintf("service-%03d", i), Netns: fmt.Sprintf("c%d", i), Device: fmt.Sprintf("veth%05x", i*7919), State: "running", Addresses: []string{fmt.Sprintf("172.%d.0.%d", 20+k, i%250+2)}}
			switch {
			case i < 2:
				c.Name = []string{"web", "db"}[i]
				c.Ports = []string{"0.0.0.0:8080→80/tcp"}
			case i == 3:
				c.Name, c.State = "a-job-that-ended-long-ago", "exited"
			case i == 4:
				c.Name, c.Findings, c.Severity = "cache", []string{"ND1107"}, "warning"
			}
			add(c)
		}
	}
	m.Path = &v1.MapPath{From: "web", To: "db:5432", Verdict: "dropped", Nodes: []string{"container:docker:c0@network:docker:app", "network:docker:app", "host"}, Broken: "host", Why: "Docker isolates br-app from br-data", Code: "ND3210"}
	return m
}

func reportText(t *testing.T, p *v1.Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Report(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReportLoadsNothing: no address outside the page, and a policy that allows
// nothing but its own script and style.
func TestReportLoadsNothing(t *testing.T) {
	t.Parallel()
	text := reportText(t, reportPage(5))
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	policy := ""
	scripts := 0
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			attr := map[string]string{}
			for _, a := range n.Attr {
				attr[a.Key] = a.Val
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s %s=%q>: the policy forbids it", n.Data, a.Key, a.Val)
				}
				if (a.Key == "src" || a.Key == "href" || a.Key == "action") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s %s=%q> leaves the page", n.Data, a.Key, a.Val)
				}
			}
			if attr["http-equiv"] == "Content-Security-Policy" {
				policy = attr["content"]
			}
			if n.Data == "script" {
				scripts++
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	want := "default-src 'none'; style-src '" + digest(pageCSS+svgStyle) + "'; script-src '" + digest(pageJS) + "'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
	if scripts != 2 {
		t.Errorf("%d scripts, want the data and the page's own", scripts)
	}
}

// TestReportHoldsItsData: the JSON inside is the page's own, and whole.
func TestReportHoldsItsData(t *testing.T) {
	t.Parallel()
	p := reportPage(5)
	m := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindStringSubmatch(reportText(t, p))
	if m == nil {
		t.Fatal("no data")
	}
	var got v1.Page
	if err := json.Unmarshal([]byte(m[1]), &got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(p)
	b, _ := json.Marshal(got)
	if d := cmp.Diff(string(a), string(b)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestHostileNamesAreHarmlessInPages: in whatever field they stand, they make no
// element and no attribute, and nothing that a terminal obeys.
func TestHostileNamesAreHarmlessInPages(t *testing.T) {
	t.Parallel()
	const bad = `"><script>alert(1)</script><img src=x onerror=alert(1)>'--></style></script><!--` + "\x1b[2J\u202e\x00{{.}}"
	p := reportPage(5)
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var any_ any
	if err := json.Unmarshal(data, &any_); err != nil {
		t.Fatal(err)
	}
	keep := map[string]bool{"id": true, "on": true, "kind": true, "verdict": true, "severity": true, "nodes": true, "broken": true, "startedAt": true, "confidence": true, "status": true}
	var poison func(any) any
	poison = func(v any) any {
		switch x := v.(type) {
		case string:
			return x + bad
		case []any:
			for i := range x {
				x[i] = poison(x[i])
			}
		case map[string]any:
			for k := range x {
				_, text := x[k].(string)
				if k == "nodes" && isObjects(x[k]) || k != "nodes" && (!text || !keep[k]) {
					x[k] = poison(x[k])
				}
			}
		}
		return v
	}
	data, err = json.Marshal(poison(any_))
	if err != nil {
		t.Fatal(err)
	}
	var hostile v1.Page
	if err := json.Unmarshal(data, &hostile); err != nil {
		t.Fatal(err)
	}
	shape := func(text string) map[string]int {
		doc, err := html.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		var walk func(*html.Node)
		walk = func(n *html.Node) {
			switch n.Type {
			case html.ElementNode:
				out["<"+n.Data+">"]++
				for _, a := range n.Attr {
					out[n.Data+" "+a.Key]++
				}
			case html.CommentNode:
				out["comment"]++
			default:
			}
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				walk(c)
			}
		}
		walk(doc)
		return out
	}
	text := reportText(t, &hostile)
	want, got := shape(reportText(t, p)), shape(text)
	for _, grows := range []string{"<text>", "text class", "text x", "text y", "text text-anchor", "<p>", "<span>", "span class", "<strong>", "<code>", "<li>", "<pre>", "<b>", "<i>", "<br>", "p class", "<details>", "<summary>"} {
		delete(want, grows) // a field that was empty is shown now
		delete(got, grows)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the page has another shape (-want +got)\n%s", d)
	}
	for _, no := range []string{"<script>alert", "<img", "\x1b", "\u202e", "\x00"} {
		if strings.Contains(text, no) {
			t.Errorf("the page holds %q", no)
		}
	}
	var pic bytes.Buffer
	if err := svg(&pic, &hostile.Map); err != nil {
		t.Fatal(err)
	}
	if err := wellFormed(pic.Bytes()); err != nil {
		t.Errorf("the picture is no XML: %v", err)
	}
}

func isObjects(v any) bool {
	l, ok := v.([]any)
	if !ok || len(l) == 0 {
		return false
	}
	_, ok = l[0].(map[string]any)
	return ok
}

// TestReportInABrowser opens the page in a real one: its script runs under its own
// policy, folds, filters and zooms, with up to 200 containers.
// The page is driven by a second script, which only the test's copy allows.
func TestReportInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium is installed")
	}
	const drive = `window.addEventListener("load",()=>{const q=s=>document.querySelector(s),r={};
r.ready=document.documentElement.dataset.ready||"";
r.loadMs=Math.round(performance.now());
r.chips=document.querySelectorAll(".chip").length;
const head=q(".group .head");const before=head.getAttribute("aria-expanded");head.dispatchEvent(new KeyboardEvent("keydown",{key:"Enter",bubbles:true}));
r.fold=before+" "+head.getAttribute("aria-expanded");
head.dispatchEvent(new KeyboardEvent("keydown",{key:"Enter",bubbles:true}));
const f=q("#filter");f.value="web";f.dispatchEvent(new Event("input"));
r.faded=document.querySelectorAll(".chip.faded").length;r.hiddenFindings=document.querySelectorAll(".finding[hidden]").length;
f.value="";f.dispatchEvent(new Event("input"));r.unfaded=document.querySelectorAll(".chip.faded").length;
q('[data-map="in"]').click();r.zoom=q(".scene").getAttribute("transform");
q("#stage").dispatchEvent(new KeyboardEvent("keydown",{key:"ArrowLeft"}));r.moved=q(".scene").getAttribute("transform")!==r.zoom;
r.bg=getComputedStyle(document.body).backgroundColor;r.wide=document.documentElement.scrollWidth<=window.innerWidth;
r.data=JSON.parse(q("#data").textContent).check.kind;
document.title="driven:"+JSON.stringify(r);});`
	for _, c := range []struct {
		n    int
		dark bool
	}{{5, false}, {50, true}, {200, false}} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			text := reportText(t, reportPage(c.n))
			text = strings.Replace(text, "script-src &#39;", "script-src &#39;"+digest(drive)+"&#39; &#39;", 1)
			text = strings.Replace(text, "</body>", "<script>"+drive+"</script></body>", 1)
			file := filepath.Join(t.TempDir(), "report.html")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(), "--window-size=1300,1000", "--virtual-time-budget=2000", "--dump-dom"}
			if c.dark {
				args = append(args, "--blink-settings=preferredColorScheme=0")
			}
			out, err := runFor(t, 60*time.Second, browser, append(args, "file://"+file)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := regexp.MustCompile(`<title>driven:(.*?)</title>`).FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("the page's script did not run: %.300s", out)
			}
			var r struct {
				Ready, Fold, Zoom, BG, Data           string
				LoadMs                                float64
				Chips, Faded, HiddenFindings, Unfaded int
				Moved, Wide                           bool
			}
			if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &r); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d containers: %d bytes, ready after %.0f ms", c.n, len(text), r.LoadMs)
			if r.Ready != "1" || r.Chips != c.n || r.Data != "CheckResult" {
				t.Errorf("not all is there: %+v", r)
			}
			if r.Fold != "true false" {
				t.Errorf("a network does not fold by key: %q", r.Fold)
			}
			if r.Faded != c.n-1 || r.Unfaded != 0 || r.HiddenFindings == 0 {
				t.Errorf("the filter: %d faded, %d hidden, %d afterwards", r.Faded, r.HiddenFindings, r.Unfaded)
			}
			if !strings.Contains(r.Zoom, "scale(1.25)") || !r.Moved || !r.Wide {
				t.Errorf("zoom %q, moved %v, fits the window %v", r.Zoom, r.Moved, r.Wide)
			}
			if want := map[bool]string{false: "rgb(255, 255, 255)", true: "rgb(13, 17, 23)"}[c.dark]; r.BG != want {
				t.Errorf("background %s, want %s", r.BG, want)
			}
		})
	}
}
