package objects

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/backup"
)

// objectStore answers as S3 does to what a bucket asks, and refuses what is not
// signed.
type objectStore struct {
	mu      sync.Mutex // guards objects
	objects map[string][]byte
}

func (s *objectStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=someone/") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/box/")
	q := r.URL.Query()
	switch {
	case q.Has("location"):
		io.WriteString(w, `<LocationConstraint>us-east-1</LocationConstraint>`)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		s.objects[name] = unchunked(r.Header.Get("X-Amz-Content-Sha256"), body)
		w.Header().Set("ETag", `"x"`)
	case q.Has("list-type"):
		s.list(w, q.Get("prefix"))
	default:
		content, ok := s.objects[name]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
			return
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		http.ServeContent(w, r, "", time.Now(), bytes.NewReader(content))
	}
}

// list names the directories right below a prefix.
func (s *objectStore) list(w io.Writer, prefix string) {
	var dirs []string
	for name := range s.objects {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			dir, _, _ := strings.Cut(rest, "/")
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	io.WriteString(w, "<ListBucketResult><IsTruncated>false</IsTruncated>")
	for _, dir := range slices.Compact(dirs) {
		fmt.Fprintf(w, "<CommonPrefixes><Prefix>%s%s/</Prefix></CommonPrefixes>", prefix, dir)
	}
	io.WriteString(w, "</ListBucketResult>")
}

// unchunked takes a body out of the signed chunks that are sent without TLS.
func unchunked(kind string, body []byte) (content []byte) {
	if !strings.HasPrefix(kind, "STREAMING-") {
		return body
	}
	for r := bufio.NewReader(bytes.NewReader(body)); ; {
		var n int
		line, err := r.ReadString('\n')
		if _, bad := fmt.Sscanf(line, "%x;", &n); err != nil || bad != nil || n == 0 {
			return content
		}
		part := make([]byte, n+2)
		if _, err := io.ReadFull(r, part); err != nil {
			return content
		}
		content = append(content, part[:n]...)
	}
}

func TestAnObjectStoreIsABucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "someone")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	store := &objectStore{objects: map[string][]byte{"elsewhere/x/y": nil}}
	server := httptest.NewServer(store)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, kind := range []string{"s3", "gs"} {
		b, err := openPlace(kind+"://box/below/here?insecure=true&region=us-east-1&endpoint="+host, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), "one/x"); kind == "s3" && !errors.Is(err, backup.ErrAbsent) {
			t.Fatalf("got %v, want ErrAbsent", err)
		}
		for _, name := range []string{"one/x", "one/y", "two/x"} {
			if err := b.Put(t.Context(), name, []byte("content of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		ids, err := b.List(t.Context())
		if slices.Sort(ids); err != nil || !slices.Equal(ids, []string{"one", "two"}) {
			t.Fatalf("got %q, %v", ids, err)
		}
		r, err := b.Get(t.Context(), "two/x")
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || string(content) != "content of two/x" || r.Close() != nil {
			t.Fatalf("got %q, %v", content, err)
		}
	}
}

func TestPlacesAreRefusedWithAReason(t *testing.T) {
	for where, want := range map[string]string{
		"ftp://x/y":               "not known",
		"s3:///y":                 "names no bucket",
		"s3://x/y?regoin=z":       "regoin is no parameter",
		"s3://x/y?insecure=maybe": "true or false",
		"azblob://x/y":            AzureVariable,
	} {
		if _, err := openPlace(where, Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: got %v, want %q", where, err, want)
		}
	}
}
