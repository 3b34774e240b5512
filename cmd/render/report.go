package render

import (
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// pageData is what the page's template is filled with.
type pageData struct {
	Page                  *v1.Page
	Style                 template.CSS
	Script                template.JS
	Data                  template.JS
	Map                   template.HTML
	StyleHash, ScriptHash string
}

// Report writes one page that stands for itself: no other file, no network. Its
// policy lets nothing run or load but its own script and style, known by their
// digests; foreign text is cleaned before the template escapes it.
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
	var picture strings.Builder
	drawMap(&picture, &clean.Map, false)
	// "<" can begin no tag inside JSON's strings then.
	text := strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "\u2028", `\u2028`, "\u2029", `\u2029`).Replace(string(data))
	style := pageCSS + svgStyle
	t, err := template.New("report").Funcs(template.FuncMap{
		"sign": func(v string) string {
			sign, _ := Style{}.sign(strings.Replace(v, "problems", "error", 1))
			return sign
		},
		"verdict":  headline,
		"hostLine": func(h v1.HostInfo, s v1.Summary) string { return hostLine(h, &s) },
		"count":    plural,
		"lower":    strings.ToLower,
		"has":      strings.Contains,
		"counter":  counted,
		"marked":   marked,
	}).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	//nolint:gosec // our own files, escaped JSON, and a picture whose every text is escaped
	err = t.Execute(w, pageData{
		Page: &clean, Style: template.CSS(style), Script: template.JS(pageJS), Data: template.JS(text), Map: template.HTML(picture.String()),
		StyleHash: digest(style), ScriptHash: digest(pageJS),
	})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
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

// counted is a counter; nothing where there is none.
func counted(n int64) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// marked says whether a finding rests on the table.
func marked(t v1.RuleTable) bool {
	for i := range t.Chains {
		if len(t.Chains[i].Decides) > 0 {
			return true
		}
		for j := range t.Chains[i].Rules {
			if len(t.Chains[i].Rules[j].Decides) > 0 {
				return true
			}
		}
	}
	return false
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
