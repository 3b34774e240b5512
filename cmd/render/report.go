package render

import (
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"golang.org/x/net/html"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// Report writes one page that stands for itself: no other file, no network. Its
// policy lets nothing run or load but its own script and style, known by their
// digests; foreign text is cleaned, and escaped as the tree is written.
func Report(w io.Writer, p *v1.Page) error {
	data, err := encode(p, false)
	if err != nil {
		return err
	}
	var clean v1.Page
	if err := json.Unmarshal(data, &clean); err != nil {
		return fmt.Errorf("copying the page: %w", err)
	}
	cleanAll(reflect.ValueOf(&clean).Elem())
	// "<" can begin no tag inside JSON's strings then.
	text := strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "\u2028", `\u2028`, "\u2029", `\u2029`).Replace(string(data))
	doc := &html.Node{Type: html.DocumentNode}
	doc.AppendChild(&html.Node{Type: html.DoctypeNode, Data: "html"})
	doc.AppendChild(el("html", at("lang", "en"), pageHead(&clean), pageBody(&clean, text)))
	if err := html.Render(w, doc); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

func pageHead(p *v1.Page) *html.Node {
	meta := func(name, content string) *html.Node { return el("meta", at("name", name), at("content", content)) }
	style := pageCSS + svgStyle
	policy := "default-src 'none'; style-src '" + digest(style) + "'; script-src '" + digest(pageJS) + "'; base-uri 'none'; form-action 'none'"
	return el("head",
		el("meta", at("charset", "utf-8")),
		meta("viewport", "width=device-width, initial-scale=1"),
		meta("color-scheme", "light dark"),
		el("meta", at("http-equiv", "Content-Security-Policy"), at("content", policy)),
		el("title", "netdoctor: "+p.Check.Host.Name+", "+p.Check.Verdict),
		el("style", verbatim(style)))
}

func pageBody(p *v1.Page, data string) *html.Node {
	return el("body", class(p.Check.Verdict),
		el("a", class("skip"), at("href", "#findings"), "to the findings"),
		pageBanner(&p.Check),
		el("main", findingsSection(p.Check.Findings), mapSection(&p.Map), pathsSection(p.Traces), namesSection(p.Names), rulesSection(p.Tables), coverageSection(p)),
		el("script", at("type", "application/json"), at("id", "data"), verbatim(data)),
		el("script", verbatim(pageJS)))
}

func pageBanner(c *v1.CheckResult) *html.Node {
	host := " · " + hostLine(c.Host, &c.Summary) + " · kernel " + c.Host.Kernel
	if c.Host.Distro != "" {
		host += " · " + c.Host.Distro
	}
	read := "read " + c.Host.ReadAt
	if c.Host.Snapshot != "" {
		read += " from " + c.Host.Snapshot
	}
	read += " · " + diag.Count(c.Summary.Errors, "error") + " · " + diag.Count(c.Summary.Warnings, "warning") + fmt.Sprintf(" · %d passed", c.Summary.Passed)
	if c.Summary.Skipped > 0 {
		read += fmt.Sprintf(" · %d could not be looked at", c.Summary.Skipped)
	}
	nav := []any{at("aria-label", "sections")}
	for _, s := range []string{"Findings", "Map", "Paths", "Names", "Rules", "Coverage"} {
		nav = append(nav, el("a", at("href", "#"+strings.ToLower(s)), s), " ")
	}
	nav = append(nav,
		el("button", at("type", "button"), at("id", "download"), at("hidden", ""), "Download JSON"),
		el("label", class("filter"), "Filter ", el("input", at("id", "filter"), at("type", "search"), at("placeholder", "container, address, code…  ( / )"), at("hidden", ""))))
	return el("header",
		el("p", class("brand"), "netdoctor"),
		el("h1", el("span", class("sign"), at("aria-hidden", "true"), verdictSign(c.Verdict)), " "+headline(c.Verdict)),
		el("p", class("host"), el("strong", c.Host.Name), host),
		el("p", class("meta"), read),
		el("nav", nav...))
}

// digest names a script or style in a content security policy (CSP level 3, 2.3.1).
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func headline(verdict string) string {
	switch verdict {
	case "healthy":
		return "This host's networking is healthy"
	case "problems":
		return "Something is wrong"
	}
	return "Not everything could be read"
}

// verdictSign is the sign of a verdict or a severity.
func verdictSign(v string) string {
	sign, _ := Style{}.sign(strings.Replace(v, "problems", "error", 1))
	return sign
}

// cleanAll cleans every text of a value; lines of several lines stay so.
func cleanAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		lines := strings.Split(v.String(), "\n")
		for i := range lines {
			lines[i] = Clean(lines[i])
		}
		v.SetString(strings.Join(lines, "\n"))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type().Field(i).Type.String() != "time.Time" {
				cleanAll(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			cleanAll(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			cleanAll(v.Elem())
		}
	default:
	}
}
