package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"mainstem/backup"
)

const (
	amazonHost = "s3.amazonaws.com"
	googleHost = "storage.googleapis.com"
)

// s3Bucket keeps backups below a prefix of a bucket of S3, or of what speaks its
// protocol.
type s3Bucket struct {
	client       *minio.Client
	name, prefix string
}

// openS3 takes s3://BUCKET/PREFIX?endpoint=HOST&region=R&insecure=true, and gs:// for
// Google's. Credentials are found where the tools of AWS find them.
func openS3(u *url.URL) (backup.Bucket, error) {
	q := u.Query()
	endpoint, std := q.Get("endpoint"), amazonHost
	if u.Scheme == "gs" {
		std = googleHost
	}
	if endpoint == "" {
		endpoint = std
	}
	insecure := false
	if s := q.Get("insecure"); s != "" {
		var err error
		if insecure, err = strconv.ParseBool(s); err != nil {
			return nil, fmt.Errorf("insecure=%s: use true or false", s)
		}
	}
	for name := range q {
		if name != "endpoint" && name != "region" && name != "insecure" {
			return nil, fmt.Errorf("%s is no parameter of an object store; there are endpoint, region and insecure", name)
		}
	}
	client, err := minio.New(endpoint, &minio.Options{
		Secure: !insecure, Region: q.Get("region"),
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		}),
	})
	if err != nil {
		return nil, err
	}
	return &s3Bucket{client: client, name: u.Host, prefix: strings.Trim(u.Path, "/")}, nil
}

// Put implements backup.Bucket: an object appears when it is complete.
func (b *s3Bucket) Put(ctx context.Context, name string, content []byte) error {
	_, err := b.client.PutObject(ctx, b.name, path.Join(b.prefix, name), bytes.NewReader(content), int64(len(content)),
		minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true})
	return err
}

// Get implements backup.Bucket.
func (b *s3Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := b.client.GetObject(ctx, b.name, path.Join(b.prefix, name), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	if _, err := o.Stat(); err != nil {
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			err = fmt.Errorf("%s: %w", name, backup.ErrAbsent)
		}
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// List implements backup.Bucket.
func (b *s3Bucket) List(ctx context.Context) (ids []string, err error) {
	prefix := b.prefix
	if prefix != "" {
		prefix += "/"
	}
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix}) {
		if o.Err != nil {
			return nil, o.Err
		}
		if id, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, prefix), "/"); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
