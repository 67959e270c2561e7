package httpapi

import (
	"net/http"

	"mainstem/stream"
)

// Codes that client libraries match on. The finer reason is a member of its
// own.
const (
	codeBadRequest   = "BAD_REQUEST"
	codeNotFound     = "NOT_FOUND"
	codeConflict     = "CONFLICT"
	codeGone         = "GONE"
	codeForbidden    = "FORBIDDEN"
	codeUnauthorized = "UNAUTHORIZED"
	codeTooLarge     = "PAYLOAD_TOO_LARGE"
	codeRateLimited  = "RATE_LIMITED"
	codeUnavailable  = "UNAVAILABLE"
	codeInternal     = "INTERNAL"
)

// reasonUnknown says that a write may or may not have happened.
const reasonUnknown = "OUTCOME_UNKNOWN"

// answer is how a refusal looks in HTTP.
type answer struct {
	status       int
	code, reason string
}

// answers is the one table from the protocol's words to HTTP's numbers.
var answers = [...]answer{
	stream.Malformed:            {http.StatusBadRequest, codeBadRequest, "MALFORMED"},
	stream.NameTooLong:          {http.StatusRequestURITooLong, codeBadRequest, "NAME_TOO_LONG"},
	stream.BadOffset:            {http.StatusBadRequest, codeBadRequest, "INVALID_OFFSET"},
	stream.BadJSON:              {http.StatusBadRequest, codeBadRequest, "INVALID_JSON"},
	stream.EmptyBody:            {http.StatusBadRequest, codeBadRequest, "EMPTY_BODY"},
	stream.EmptyArray:           {http.StatusBadRequest, codeBadRequest, "EMPTY_ARRAY"},
	stream.MissingContentType:   {http.StatusBadRequest, codeBadRequest, "MISSING_CONTENT_TYPE"},
	stream.NotFound:             {http.StatusNotFound, codeNotFound, "STREAM_NOT_FOUND"},
	stream.Gone:                 {http.StatusGone, codeGone, "STREAM_GONE"},
	stream.ConfigMismatch:       {http.StatusConflict, codeConflict, "CONFIG_MISMATCH"},
	stream.PathSoftDeleted:      {http.StatusConflict, codeConflict, "PATH_SOFT_DELETED"},
	stream.ContentTypeMismatch:  {http.StatusConflict, codeConflict, "CONTENT_TYPE_MISMATCH"},
	stream.SeqConflict:          {http.StatusConflict, codeConflict, "SEQUENCE_CONFLICT"},
	stream.Closed:               {http.StatusConflict, codeConflict, "STREAM_CLOSED"},
	stream.ProducerFenced:       {http.StatusForbidden, codeForbidden, "PRODUCER_FENCED"},
	stream.EpochNotAtZero:       {http.StatusBadRequest, codeBadRequest, "PRODUCER_EPOCH_NOT_AT_ZERO"},
	stream.ProducerGap:          {http.StatusConflict, codeConflict, "PRODUCER_GAP"},
	stream.ForkSourceNotFound:   {http.StatusNotFound, codeNotFound, "FORK_SOURCE_NOT_FOUND"},
	stream.ForkSourceDeleted:    {http.StatusConflict, codeConflict, "FORK_SOURCE_DELETED"},
	stream.ForkTypeMismatch:     {http.StatusConflict, codeConflict, "FORK_CONTENT_TYPE_MISMATCH"},
	stream.ForkOffsetBeyondTail: {http.StatusBadRequest, codeBadRequest, "FORK_OFFSET_BEYOND_TAIL"},
	stream.BadSubOffset:         {http.StatusBadRequest, codeBadRequest, "INVALID_SUB_OFFSET"},
	stream.StreamTooLong:        {http.StatusRequestEntityTooLarge, codeTooLarge, "STREAM_TOO_LONG"},
	stream.TailMoved:            {http.StatusPreconditionFailed, codeConflict, "TAIL_MOVED"},
	stream.Trimmed:              {http.StatusGone, codeGone, "TRIMMED"},
	stream.StreamFull:           {http.StatusRequestEntityTooLarge, codeTooLarge, "STREAM_FULL"},
	stream.StoreFull:            {http.StatusRequestEntityTooLarge, codeTooLarge, "STORE_FULL"},
	stream.OutcomeUnknown:       {http.StatusServiceUnavailable, codeUnavailable, reasonUnknown},
}

// answerOf also answers a code that only a newer node knows.
func answerOf(code stream.Code) answer {
	if int(code) < len(answers) && answers[code].status != 0 {
		return answers[code]
	}
	return answer{http.StatusConflict, codeConflict, "REFUSED"}
}
