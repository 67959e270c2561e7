package client

import (
	"encoding/json"
	"strings"
)

// parse takes what a problem document (RFC 9457) says, or the text of a server
// that sends none.
func (p *Problem) parse(contentType string, body []byte) {
	var doc struct {
		Title  string `json:"title"`
		Code   string `json:"code"`
		Reason string `json:"reason"`
		Detail string `json:"detail"`
	}
	if strings.Contains(contentType, "json") && json.Unmarshal(body, &doc) == nil {
		p.Code, p.Reason, p.Detail = doc.Code, doc.Reason, doc.Detail
		if p.Detail == "" {
			p.Detail = doc.Title
		}
		return
	}
	if strings.HasPrefix(contentType, "text/plain") {
		p.Detail = strings.TrimSpace(string(body))
	}
}
