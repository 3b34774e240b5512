package v1_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

var update = flag.Bool("update", false, "write schema.json")

// results are the kinds and their types.
func results() map[string]any {
	return map[string]any{
		v1.KindCheck: v1.CheckResult{}, v1.KindTrace: v1.TraceResult{}, v1.KindTraceSet: v1.TraceSetResult{}, v1.KindProbe: v1.ProbeResult{}, v1.KindWatch: v1.WatchEvent{},
		v1.KindDNS: v1.DNSResult{}, v1.KindDNSSet: v1.DNSSetResult{}, v1.KindFixPlan: v1.FixPlan{}, v1.KindFix: v1.FixResult{},
		v1.KindUndo: v1.UndoResult{}, v1.KindList: v1.ListResult{}, v1.KindInspect: v1.InspectResult{},
		v1.KindSnapshot: v1.SnapshotResult{}, v1.KindCapabilities: v1.CapabilitiesResult{}, v1.KindExplain: v1.ExplainResult{},
		v1.KindVersion: v1.VersionResult{}, v1.KindLab: v1.LabResult{}, v1.KindSetup: v1.SetupResult{}, v1.KindTest: v1.TestResult{}, v1.KindDiff: v1.DiffResult{},
		v1.KindReport: v1.ReportResult{}, v1.KindMap: v1.MapResult{},
	}
}

// generator makes JSON schema 2020-12 of Go types; descriptions are their comments.
type generator struct {
	t       *testing.T
	docs    map[string]map[string]string // type → field ("" the type itself) → text
	defs    map[string]any
	missing []string
}

func (g *generator) parse() {
	g.docs = map[string]map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, d := range f.Decls {
			gd, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range gd.Specs {
				ts, ok := s.(*ast.TypeSpec)
				if !ok {
					continue
				}
				m := map[string]string{"": text(gd.Doc)}
				if st, ok := ts.Type.(*ast.StructType); ok {
					for _, fl := range st.Fields.List {
						for _, n := range fl.Names {
							m[n.Name] = text(fl.Doc)
						}
					}
				}
				g.docs[ts.Name.Name] = m
			}
		}
	}
}

func text(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// schema is the schema of a type; structs become $defs.
func (g *generator) schema(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{g.schema(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.schema(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Struct:
		if _, ok := g.defs[t.Name()]; !ok {
			g.defs[t.Name()] = nil
			g.defs[t.Name()] = g.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	}
	g.t.Fatalf("no schema for %s", t)
	return nil
}

func (g *generator) object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if f.Anonymous || tag == "" {
			continue
		}
		owner := t
		if len(f.Index) > 1 {
			owner = t.Field(f.Index[0]).Type
		}
		name, opt, _ := strings.Cut(tag, ",")
		p := g.schema(f.Type)
		if d := g.docs[owner.Name()][f.Name]; d != "" {
			p["description"] = d
		} else {
			g.missing = append(g.missing, owner.Name()+"."+f.Name)
		}
		if e := f.Tag.Get("enum"); e != "" {
			p["enum"] = strings.Split(e, ",")
		}
		if opt == "" {
			required = append(required, name)
		}
		props[name] = p
	}
	return map[string]any{"type": "object", "description": g.docs[t.Name()][""], "properties": props, "required": required}
}

// TestSchemaIsCurrent generates schema.json anew and compares.
func TestSchemaIsCurrent(t *testing.T) {
	g := &generator{t: t, defs: map[string]any{}}
	g.parse()
	var conds []any
	var kinds []string
	for kind, v := range results() {
		kinds = append(kinds, kind)
		g.schema(reflect.TypeOf(v))
		d := g.defs[reflect.TypeOf(v).Name()].(map[string]any)
		k := d["properties"].(map[string]any)["kind"].(map[string]any)
		k["const"] = kind
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		conds = append(conds, map[string]any{"$ref": "#/$defs/" + k})
	}
	if len(g.missing) > 0 {
		t.Errorf("fields without a description: %s", strings.Join(g.missing, ", "))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://github.com/netdoctor/netdoctor/cmd/schema/v1/schema.json",
		"title":   v1.APIVersion,
		"oneOf":   conds,
		"$defs":   g.defs,
	}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("schema.json is not what the types say: go test ./cmd/schema/v1 -update")
	}
}

// TestZeroValuesAreValid holds every zero result, with its kind set where an
// enum needs a word, against the schema: no list is null.
func TestZeroValuesAreValid(t *testing.T) {
	s := compile(t)
	for kind, v := range results() {
		p := reflect.New(reflect.TypeOf(v))
		r := p.Interface().(v1.Result)
		*r.Meta() = v1.Head{APIVersion: v1.APIVersion, Kind: kind, StartedAt: v1.Time(time.Unix(0, 0))}
		if f := p.Elem().FieldByName("Verdict"); f.IsValid() {
			f.SetString("unknown")
		}
		if f := p.Elem().FieldByName("Event"); f.IsValid() {
			f.SetString("sampled")
		}
		if f := p.Elem().FieldByName("Object"); f.IsValid() {
			f.Set(reflect.ValueOf(json.RawMessage("{}")))
		}
		v1.Filled(p.Interface())
		data, err := json.Marshal(p.Interface())
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, data)
		}
		if bytes.Contains(data, []byte(":null")) && kind != v1.KindTrace && kind != v1.KindDNS && kind != v1.KindMap {
			t.Errorf("%s has a null: %s", kind, data)
		}
	}
}

// TestMissingKeyIsRefused makes sure that the schema refuses something.
func TestMissingKeyIsRefused(t *testing.T) {
	s := compile(t)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"apiVersion":"netdoctor/v1","kind":"VersionResult"}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Validate(doc) == nil {
		t.Error("a result without its keys passes")
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
