// Package objects keeps the objects of backups where people want them: in a
// directory, in one tar file, in S3 and what speaks its protocol, in Azure.
//
//	WHERE ── OpenForWriting, OpenForReading ──▶ Place, which is a backup.Bucket
//	                                              └ End: all went well, or not
//
// It does not know what an object holds, nor the node that it is about.
package objects
