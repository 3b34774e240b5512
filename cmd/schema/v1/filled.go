package v1

import "reflect"

// Filled makes every list below v empty that is nil, so that JSON has [] for it and never
// null: v is a pointer to a result. A list with omitempty is left out in either case, and
// bytes, such as a [json.RawMessage], are no list. A type of list with a MarshalJSON of its
// own would do the same with a copy of the encoder's call for each of three dozen types, and
// write what is in it once a level.
func Filled(v any) {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		filled(p.Elem())
	}
}

func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			filled(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				filled(v.Field(i))
			}
		}
	case reflect.Slice:
		switch {
		case v.Type().Elem().Kind() == reflect.Uint8:
			return
		case v.IsNil() && v.CanSet():
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			filled(v.Index(i))
		}
	}
}
