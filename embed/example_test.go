package embed_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"mainstem/embed"
	"mainstem/httpapi"
)

// A program with routes of its own serves streams below one of them.
func Example() {
	streams, err := embed.Open(embed.Config{ // Dir names a directory; without it streams are in memory
		HTTP: httpapi.Config{BasePath: "/streams"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer streams.Close()

	mux := http.NewServeMux()
	mux.Handle("/streams/", streams)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "a route of the program's own") })
	server := httptest.NewServer(mux)
	defer server.Close()

	call := func(method, path, body string) {
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, text)))
	}
	call("GET", "/hello", "")
	call("PUT", "/streams/chat/room-1", "")
	call("POST", "/streams/chat/room-1", `{"text":"one"}`)
	call("POST", "/streams/chat/room-1", `[{"text":"two"},{"text":"three"}]`)
	call("GET", "/streams/chat/room-1?offset=-1", "")
	// Output:
	// 200 a route of the program's own
	// 201
	// 204
	// 204
	// 200 [{"text":"one"},{"text":"two"},{"text":"three"}]
}
