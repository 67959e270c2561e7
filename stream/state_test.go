package stream

import (
	"reflect"
	"testing"
)

// Every field of a State but Pos counts, those too that are added later.
func TestASecondStateIsTheSameUnlessMoreThanItsTailDiffers(t *testing.T) {
	full := State{ClosedBy: &Producer{ID: "p", Epoch: 1, Seq: 2}, Spans: []Span{{1, 0, 4}, {2, 4, 9}}, Origin: &Origin{Source: "s", SubOffset: 3}}
	for name, base := range map[string]State{"of zeros": {}, "of a closed fork": full} {
		t.Run(name, func(t *testing.T) {
			var walk func(path string, at func(*State) reflect.Value)
			walk = func(path string, at func(*State) reflect.Value) {
				if v := at(&base); v.Kind() == reflect.Struct {
					for i := range v.NumField() {
						walk(path+"."+v.Type().Field(i).Name, func(s *State) reflect.Value { return at(s).Field(i) })
					}
					return
				}
				next := clone(t, &base)
				if changed(t, path, next, at) && base.SameButTail(next) != (path == ".Pos") {
					t.Errorf("a change of %s: got same %v, want %v", path, base.SameButTail(next), path == ".Pos")
				}
				if s := clone(t, &base); !base.SameButTail(s) || !s.SameButTail(&base) {
					t.Fatal("a copy with pointers of its own differs")
				}
			}
			walk("", func(s *State) reflect.Value { return reflect.ValueOf(s).Elem() })
			// What pointers and slices lead to.
			if base.ClosedBy != nil {
				walk(".ClosedBy", func(s *State) reflect.Value { return reflect.ValueOf(s.ClosedBy).Elem() })
				walk(".Origin", func(s *State) reflect.Value { return reflect.ValueOf(s.Origin).Elem() })
				walk(".Spans[1]", func(s *State) reflect.Value { return reflect.ValueOf(&s.Spans[1]).Elem() })
			}
		})
	}
}

// clone copies what s points to.
func clone(t *testing.T, s *State) *State {
	t.Helper()
	next := *s
	next.Spans = append([]Span(nil), s.Spans...)
	if s.ClosedBy != nil {
		p := *s.ClosedBy
		next.ClosedBy = &p
	}
	if s.Origin != nil {
		o := *s.Origin
		next.Origin = &o
	}
	return &next
}

// changed gives a field another value, and reports that it could.
func changed(t *testing.T, path string, s *State, at func(*State) reflect.Value) bool {
	t.Helper()
	v := reflect.NewAt(at(s).Type(), at(s).Addr().UnsafePointer()).Elem() // of fields that are private too
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Pointer:
		if !v.IsNil() {
			v.SetZero()
			return true
		}
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	default:
		t.Fatalf("%s is a %v: teach this test to change it", path, v.Kind())
	}
	return true
}
