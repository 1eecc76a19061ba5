"""All that knows Tencent's dialect: parameters, envelope, codes, tokens, quotas."""
